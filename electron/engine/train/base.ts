import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkpointFolder, runFiles, type RunConfig, type StoredLora } from '#contract'
import { sha256File, syncFolder } from '../../files'
import { readModel, recordOfBase, WEIGHTS, writeModel } from '../model/modelFolder'
import type { Weights } from '../model/weights'

/**
 * The model that a run's adapters stand beside, from the run's own folder once it has begun: the run outlives the model
 * of the library that it began as.
 *
 * @param step of the checkpoint that the run goes on from, which says what its adapters were trained beside
 * @returns undefined for a run without adapters, and for one that has not begun
 * @throws bad-input when it is missing or damaged, failed when it is not the one that the checkpoint names: adapters
 *   beside other weights are another model
 */
export async function readBase(
  folder: string,
  { experiment }: RunConfig,
  step?: number,
): Promise<Weights | undefined> {
  const base = join(folder, runFiles.base)
  if (!experiment.student.lora) return undefined
  if (step !== undefined) {
    const recorded = recordOfBase(join(folder, runFiles.checkpoints, checkpointFolder(step)))
    return (await readModel(base, recorded)).weights
  }
  return existsSync(base) ? (await readModel(base, undefined)).weights : undefined
}

/**
 * Writes it there, once, and tells by what its checkpoints know it; undefined for a run without adapters.
 *
 * @param weights of the run's student before its first step
 */
export async function keepBase(
  folder: string,
  { experiment, student }: RunConfig,
  weights: Weights,
): Promise<StoredLora | undefined> {
  const { lora } = experiment.student
  if (!lora) return undefined
  const base = join(folder, runFiles.base)
  if (existsSync(base)) return { ...lora, base: await sha256File(join(base, WEIGHTS)) }
  const temporary = `${base}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  const digest = await writeModel(temporary, student, weights)
  renameSync(temporary, base)
  syncFolder(folder)
  return { ...lora, base: digest }
}
