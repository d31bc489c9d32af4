import type { Submission } from '#contract'
import { batchScript, findJob, submit, Transfer, type Login } from '../../cluster'
import { foldersOf } from './folders'

/**
 * Submits runs as one job array, unless a life of the app that ended right after it did so has.
 *
 * @param options.prepare the array makes the passes of teachers that runs share
 * @param options.after the job that has to end first
 * @returns the job's id, or why Slurm will not have it
 */
export async function sendArray(
  dataDir: string,
  { profile, id }: Submission,
  login: Login,
  runs: readonly string[],
  { prepare, after }: { prepare?: boolean; after?: string },
): Promise<{ job: string } | { refused: string }> {
  const name = `retort-${id}${prepare ? '-passes' : ''}`
  const job = await findJob(login, name)
  if (job !== undefined) return { job }
  const transfer = new Transfer(login, profile, dataDir)
  await transfer.push([`submissions/${id}`, ...foldersOf(dataDir, runs)])
  const script = batchScript(profile, runs, id, prepare)
  return submit(login, profile, { name, tasks: runs.length, script, after })
}
