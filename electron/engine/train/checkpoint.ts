import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  badInput,
  checkpoint,
  checkpointFolder,
  parse,
  SCHEMA_VERSION,
  type Checkpoint,
  type LossScaleState,
  type ModelConfig,
  type StoredLora,
} from '#contract'
import {
  diskFull,
  isDiskFull,
  listCheckpoints,
  readJson,
  sha256File,
  syncFolder,
  writeFileAtomic,
  writeJsonAtomic,
} from '../../files'
import { writeModel } from '../model/modelFolder'
import { decodeSafetensors } from '../model/safetensors'
import { encodeSafetensors } from '../model/safetensorsWriter'
import type { Weights } from '../model/weights'
import { keptWritings, type Written } from './source/figures'

/** Everything a run needs to go on as if it had never stopped. */
export interface TrainingState {
  weights: Weights
  /** AdamW's moments, `m.<parameter>` and `v.<parameter>`. */
  moments: Weights
  /** The learned maps W of feature alignment; empty without. */
  projections: Weights
  /** Of a run in half precision. */
  lossScale?: LossScaleState
  /** What the student wrote and is going to learn on again. */
  written?: readonly Written[]
}

const STATE_FILES = ['model.safetensors', 'optimizer.safetensors', 'projections.safetensors'] as const
/** Of a run that learns again on what its student wrote. */
const WRITTEN_FILE = 'written.json'

/**
 * Writes `step-000500/` below `folder`: first beside it under another name, then renamed, so that a checkpoint is
 * whole or not there.
 *
 * @param lora of a state whose weights are adapters'
 * @throws failed when the disk is full; nothing is left of it then
 */
export async function writeCheckpoint(
  folder: string,
  model: ModelConfig,
  state: TrainingState,
  about: Omit<Checkpoint, 'files' | 'schemaVersion' | 'lossScale'>,
  lora?: StoredLora,
): Promise<Checkpoint> {
  const temporary = join(folder, `.${checkpointFolder(about.step)}.tmp`)
  const final = join(folder, checkpointFolder(about.step))
  rmSync(temporary, { recursive: true, force: true })
  try {
    mkdirSync(temporary, { recursive: true })
    await writeModel(temporary, model, state.weights, lora)
    writeFileAtomic(join(temporary, 'optimizer.safetensors'), encodeSafetensors(state.moments))
    writeFileAtomic(join(temporary, 'projections.safetensors'), encodeSafetensors(state.projections))
    const { lossScale, written } = state
    if (written?.length) writeJsonAtomic(join(temporary, WRITTEN_FILE), parse(keptWritings, written))
    const files: Record<string, string> = {}
    for (const name of [...STATE_FILES, ...(written?.length ? [WRITTEN_FILE] : [])])
      files[name] = await sha256File(join(temporary, name))
    const row: Checkpoint = {
      schemaVersion: SCHEMA_VERSION,
      ...about,
      ...(lossScale && { lossScale }),
      files,
    }
    writeJsonAtomic(join(temporary, 'checkpoint.json'), parse(checkpoint, row))
    rmSync(final, { recursive: true, force: true })
    renameSync(temporary, final)
    syncFolder(folder)
    return row
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw isDiskFull(error) ? diskFull(final, sizeOf(state), error) : error
  }
}

/** Bytes that a state takes on the disk, but for names. */
function sizeOf({ weights, moments, projections }: TrainingState): number {
  const tensors = [weights, moments, projections].flatMap((part) => [...part.values()])
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0)
}

/** Reads a checkpoint's state; a file that is not the one written is bad input, named. */
export async function readCheckpoint(folder: string, row: Checkpoint): Promise<TrainingState> {
  const path = join(folder, checkpointFolder(row.step))
  const checked = async (name: string): Promise<string> => {
    const file = join(path, name)
    const digest = row.files[name]
    if (!digest)
      throw badInput('no digest is recorded', { file: join(path, 'checkpoint.json'), field: `files.${name}` })
    if (!existsSync(file)) throw badInput('the file is missing', { file })
    if ((await sha256File(file)) !== digest)
      throw badInput('the content is not what the checkpoint recorded', {
        file,
        expected: `SHA-256 ${digest}`,
      })
    return file
  }
  const read = async (name: (typeof STATE_FILES)[number]): Promise<Weights> => {
    const file = await checked(name)
    return decodeSafetensors(readFileSync(file), file)
  }
  const [weights, moments, projections] = [
    await read('model.safetensors'),
    await read('optimizer.safetensors'),
    await read('projections.safetensors'),
  ]
  const file = row.files[WRITTEN_FILE] && (await checked(WRITTEN_FILE))
  return {
    weights,
    moments,
    projections,
    ...(row.lossScale && { lossScale: row.lossScale }),
    ...(file && { written: parse(keptWritings, readJson(file), file) }),
  }
}

/**
 * Removes what a run that goes on does not need: checkpoints after the step it goes on from, which it computes again, and
 * the left-overs of interrupted writes.
 */
export function removeStale(folder: string, step: number): void {
  for (const name of readdirSync(folder)) {
    const [, number] = /^step-(\d+)$/.exec(name) ?? []
    if (number ? Number(number) > step : /^\.step-\d+\.tmp$/.test(name))
      rmSync(join(folder, name), { recursive: true, force: true })
  }
}

/** Removes all but the last `keep` periodic checkpoints, the best one and the newest; what is damaged stays. */
export function pruneCheckpoints(folder: string, keep: number, bestStep: number | undefined): void {
  const rows = listCheckpoints(folder, () => {})
  const kept = new Set(rows.slice(-Math.max(1, keep)).map((row) => row.step))
  if (bestStep !== undefined) kept.add(bestStep)
  for (const row of rows) {
    if (!kept.has(row.step))
      rmSync(join(folder, checkpointFolder(row.step)), { recursive: true, force: true })
  }
}

/** @param saved the step of the last checkpoint, 0 when there is none */
export function keptAt(saved: number): string {
  return saved
    ? `The checkpoint of step ${saved} is kept (${checkpointFolder(saved)}).`
    : 'No checkpoint had been written.'
}
