import { appendFileSync } from 'node:fs'
import { join } from 'node:path'

/** A worker that hangs in native code does not keep a host from ending: its last checkpoint is what is left. */
export const CLOSING_MS = 60_000

/**
 * Ends a host that met a fault nobody caught: what happened is written to standard error and to `host.log` of the data
 * directory, its runs end with a checkpoint. Once only; a second fault on the way ends it at once.
 *
 * @param close stops the host; waited for at most `CLOSING_MS`
 */
export function endOnUncaught(dataDir: string, close: () => Promise<unknown>): void {
  let ending = false
  process.on('uncaughtException', (error) => {
    const text = `${new Date().toISOString()} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`
    try {
      process.stderr.write(text)
      appendFileSync(join(dataDir, 'host.log'), text)
    } catch {
      // A full disk or a closed terminal: the runs' checkpoints matter more.
    }
    if (ending) process.exit(1)
    ending = true
    void withinTime(close()).finally(() => process.exit(1))
  })
}

/** Waits for a host's end, but not for ever. */
export async function withinTime(closing: Promise<unknown>, milliseconds = CLOSING_MS): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)))
  await Promise.race([closing.catch(() => {}), late])
  clearTimeout(timer)
}
