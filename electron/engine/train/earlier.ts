import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkpointFolder, failed, runFiles, type RunConfig } from '#contract'
import { syncFolder } from '../../files'
import { copyModel, readModel, WEIGHTS } from '../model/modelFolder'
import type { Weights } from '../model/weights'

/** The student that a continued run begins with. */
export interface Earlier {
  weights: Weights
  /** For the log. */
  note: string
  /** Where it was found. */
  folder: string
}

/**
 * Reads the student that a run goes on with: from the run's own folder once it has begun, else from the earlier run's
 * checkpoint. Undefined for a run that continues none.
 *
 * @throws failed when it is gone, or is not the one whose digest the run's config records
 */
export async function readEarlier(dataDir: string, config: RunConfig): Promise<Earlier | undefined> {
  const { continues } = config
  if (!continues) return undefined
  const kept = keptFolder(dataDir, config)
  const source = join(dataDir, 'runs', continues.run, runFiles.checkpoints, checkpointFolder(continues.step))
  const folder = existsSync(kept) ? kept : source
  const what = `the student of run "${continues.name}" at step ${continues.step}`
  if (!existsSync(join(folder, WEIGHTS)))
    throw failed(`${what} is gone: ${folder} does not exist any more; continue another run`)
  const changed = `${what} has changed since this run was defined; start the run anew`
  const { weights } = await readModel(folder, { digest: continues.digest, changed })
  return { weights, note: what, folder }
}

/** Copies it into the run's own folder, so that the run outlives the one it continues. */
export function keepEarlier(dataDir: string, config: RunConfig, { folder }: Earlier): void {
  const kept = keptFolder(dataDir, config)
  if (folder === kept) return
  const temporary = `${kept}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  copyModel(folder, temporary)
  renameSync(temporary, kept)
  syncFolder(join(dataDir, 'runs', config.id))
}

function keptFolder(dataDir: string, { id }: RunConfig): string {
  return join(dataDir, 'runs', id, runFiles.earlier)
}
