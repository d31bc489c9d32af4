import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * A folder for the files of a bench, gigabytes of them: it goes with the process that made it, also where a signal, or
 * the end of its host, ends that process.
 *
 * @returns the folder, and what removes it before that
 */
export function makeScratchFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'retort-bench-'))
  const leave = (signal: keyof typeof SIGNALS) => process.exit(SIGNALS[signal])
  const discard = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  process.once('SIGINT', leave).once('SIGTERM', leave).once('exit', discard)
  return {
    folder,
    remove() {
      process.off('SIGINT', leave).off('SIGTERM', leave).off('exit', discard)
      discard()
    },
  }
}
