import { parameterCount, type RunConfig } from '#contract'
import { restBackend } from '../backend'

/** Parameters from which on compiling a step's graph again takes less than the step. */
const LARGE = 2 ** 24

/** Between steps and an evaluation: what a large model's graphs worked in is not held while others are computed. */
export async function rest({ student }: Pick<RunConfig, 'student'>): Promise<void> {
  if (parameterCount(student) >= LARGE) await restBackend()
}
