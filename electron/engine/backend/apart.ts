import { execFile } from 'node:child_process'

const TIMEOUT_MS = 60_000

/**
 * Runs a script in a Node process of its own: a native library that crashes takes only that one with it. The process
 * is this one's own executable, also under Electron.
 *
 * @param script CommonJS; `process.argv` from 1 on are `args`
 * @throws Error with one line: what the script threw, or how it died
 */
export function runApart(script: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' }
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['-e', script, ...args],
      { env, timeout: TIMEOUT_MS, windowsHide: true },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout.trim())
        if (error.killed) return reject(new Error(`it does not answer within ${TIMEOUT_MS / 1000} s`))
        if (error.signal) return reject(new Error(`its library dies with ${error.signal}`))
        reject(new Error(reasonIn(stderr)))
      },
    )
  })
}

/** The message of an uncaught error, out of what Node prints of it. */
function reasonIn(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim())
  const thrown = lines.find((line) => /^(\w*Error|\[?Error)\b/.test(line))
  return (thrown ?? lines.find(Boolean) ?? 'it ends without a word').replace(/^\w*Error: /, '')
}
