import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { heard, type Message } from './row'

/** How a part ended: by itself, or why not, in one line. */
export type Ending = { error?: string }

/** A part of the check, in a process of its own: a library that crashes, or hangs, takes only that one with it. */
export interface Part {
  command: string
  args: readonly string[]
  /** After so many it is killed. */
  seconds: number
  /** Everything it says; a line of progress as it is. */
  on: (said: Message | string) => void
}

export function runPart({ command, args, seconds, on }: Part): Promise<Ending> {
  return new Promise((resolve) => {
    // A group of its own, so that what it starts ends with it.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let late = false
    const timer = setTimeout(() => {
      late = true
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        child.kill('SIGKILL')
      }
    }, seconds * 1000)
    const complaints: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => on(heard(line) ?? line))
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.trim()) complaints.push(line.trim())
    })
    child.on('error', (error) => finish(error.message))
    child.on('close', (code, signal) => {
      if (late) return finish(`not done after ${Math.round(seconds)} s`)
      if (signal) return finish(`its process dies with ${signal}`)
      finish(code ? reasonIn(complaints) : undefined)
    })
    function finish(error?: string): void {
      clearTimeout(timer)
      resolve({ error })
    }
  })
}

/** What was thrown, out of what Node or Python print of it. */
function reasonIn(lines: readonly string[]): string {
  const thrown = lines.findLast((line) => /^(\w*Error|\w*Exception|\[?Error)\b/.test(line)) ?? lines.at(-1)
  return (thrown ?? 'it ends without a word').slice(0, 300)
}
