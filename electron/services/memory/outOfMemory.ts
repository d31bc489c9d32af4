import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  memoryWords,
  outOfMemory,
  runFiles,
  tellsOutOfMemory,
  type Alarm,
  type LoggedEvent,
  type RunConfig,
} from '#contract'
import { filterJsonLines, JsonLinesWriter } from '../../files'
import type { RunFolder } from '../../store'
import { WorkerDeath } from '../jobs'

const KERNEL_COUNTS = '/proc/vmstat'
/** How a shell, and Electron, tell of a process that SIGKILL ended. */
const KILLED = 128 + 9

/** How many processes the kernel has killed for want of memory since it booted; undefined where it does not say. */
export function memoryKills(): number | undefined {
  if (!existsSync(KERNEL_COUNTS)) return undefined
  const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync(KERNEL_COUNTS, 'utf8')) ?? []
  return count === undefined ? undefined : Number(count)
}

/**
 * Writes the alarm that a run's worker could not raise itself, as it has died of a lack of memory or failed by it before
 * it had a log. Called once the worker has ended: until then the folder is its own.
 *
 * @param error what the worker ended with
 * @param killsBefore `memoryKills` when the worker started
 * @returns undefined when memory is not what it died of, or the worker has raised the alarm
 */
export function recordOutOfMemory(
  folder: RunFolder,
  config: RunConfig,
  error: unknown,
  killsBefore: number | undefined,
): Alarm | undefined {
  const what = shortage(error, killsBefore)
  if (!what || folder.log().some(({ alarm }) => alarm?.signature === 'out-of-memory')) return undefined
  const step = folder.metrics().steps.at(-1)?.step ?? 0
  const alarm = outOfMemory(config, { step, message: what })
  const file = join(folder.path, runFiles.events)
  // A line that the worker could not finish would run into the next one.
  filterJsonLines(file, () => true)
  const events = new JsonLinesWriter(file)
  const { message } = alarm
  events.append({ at: new Date().toISOString(), event: 'alarm', step, message, alarm } satisfies LoggedEvent)
  events.sync()
  events.close()
  return alarm
}

/** What tells of a lack of memory, in a sentence. */
function shortage(error: unknown, killsBefore: number | undefined): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (!(error instanceof WorkerDeath))
    return tellsOutOfMemory(error.message)
      ? `The run could not get the memory it asked for: ${memoryWords(error.message)}`
      : undefined
  const { signal, code, stderr } = error.exit
  if (tellsOutOfMemory(stderr)) return 'The worker process has used up the memory it may have, and ended.'
  if (signal !== 'SIGKILL' && code !== KILLED) return undefined
  const kills = memoryKills()
  if (kills === undefined || killsBefore === undefined)
    return 'The worker process was killed by SIGKILL: likely by the system, for want of memory.'
  return kills > killsBefore ? 'The system has killed the worker process for want of memory.' : undefined
}
