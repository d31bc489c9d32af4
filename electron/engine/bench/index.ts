import { badInput, type AnyBenchResult } from '#contract'
import type { Progress } from '../progress'
import { sized, type BenchJob } from './job'

/** What is timed, by its name. Each part loads only what it times. */
export async function benchPart(job: BenchJob, progress: Progress): Promise<AnyBenchResult> {
  if (job.part === 'step') return (await import('./step')).bench(job, progress)
  if (!sized(job))
    throw badInput(`the part ${job.part} has no configuration R`, {
      field: 'config',
      expected: 'tiny, A, B or C',
    })
  switch (job.part) {
    case 'teacher':
      return (await import('./teacher')).benchTeacher(job, progress)
    case 'generation':
      return (await import('./generation')).benchGeneration(job, progress)
    case 'grid':
      return (await import('./grid')).benchGrid(job, progress)
    case 'tokenizer':
      return (await import('./tokenizer')).benchTokenizer({ bytes: 10e6, vocab: 4096 }, progress)
  }
}
