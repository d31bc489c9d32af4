import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { createRandom } from '../../files'
import { createServices } from '../../services'
import { nodeWorkerLauncher } from '../nodeWorker'

/** What the parts of `npm run kills` share: a folder to work in, chance with a seed, and commands in processes of their own. */
export const folder = mkdtempSync(join(tmpdir(), 'retort-kills-'))
export let random = createRandom(1, 'kills')
export const seed = (number: number) => (random = createRandom(number, 'kills'))
export const one = <T>(of: readonly T[]): T => of[random.integer(of.length)]!

const root = resolve(import.meta.dirname, '../../..')

export const model = { width: 24, layers: 2, heads: 2, context: 24 }

/** A data directory as `furnish` leaves it, under a name. */
export function copyOfFurnished(name: string): string {
  const dataDir = join(folder, name)
  cpSync(join(folder, 'furnished'), dataDir, { recursive: true })
  return dataDir
}

/** Makes the data directory `furnished` with two corpora, a tokenizer and the teachers `cook` and `clerk`. */
export async function furnish(): Promise<void> {
  const dataDir = join(folder, 'furnished')
  const services = await createServices({ dataDir, spawnWorker: nodeWorkerLauncher(), host: 'cli' })
  const { library, experiments, queue } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
  await library.generateCorpus({ name: 'sums', domain: 'arithmetic', bytes: 60_000, seed: 2 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes', 'sums'], vocab: 300 })
  const train = { steps: 30, batch: 8, context: 24, learningRate: 0.003, warmup: 4 }
  for (const [name, corpus] of [
    ['cook', 'recipes'],
    ['clerk', 'sums'],
  ]) {
    const spec = { name, corpus, tokenizer: 'bpe', model, train, evaluate: { every: 0, tokens: 400 } }
    await queue.finished(experiments.startTeacher(stringify(spec)).id)
  }
  await services.close()
}

/** Writes a definition; returns its file. */
export function write(name: string, definition: object): string {
  const file = join(folder, `${name}.yaml`)
  writeFileSync(file, stringify(definition))
  return file
}

/** A script of ours in a process of its own. */
export function script(path: string, ...args: string[]): ChildProcess {
  const all = ['--import', 'tsx', join(root, path), ...args]
  return spawn(process.execPath, all, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The command line, as built where it has been: it starts in a third of the time. */
const built = join(root, 'out/main/cli.js')
console.log(
  existsSync(built) ? 'with the command line as it was built last' : 'with the command line from source',
)

export function start(dataDir: string, ...args: string[]): ChildProcess {
  const all = [...args, '--data-dir', dataDir]
  if (!existsSync(built)) return script('electron/hosts/cli/index.ts', ...all)
  return spawn(process.execPath, [built, ...all], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
}

export interface Said {
  status: number | null
  stdout: string
  stderr: string
}

/** What a process says until its end. */
export async function hear(child: ChildProcess): Promise<Said> {
  const said: Said = { status: null, stdout: '', stderr: '' }
  child.stdout!.on('data', (piece: Buffer) => (said.stdout += piece.toString()))
  child.stderr!.on('data', (piece: Buffer) => (said.stderr = (said.stderr + piece.toString()).slice(-2000)))
  const [status] = (await once(child, 'close')) as [number | null]
  return { ...said, status }
}

/** @throws unless it ends well */
export async function command(dataDir: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await hear(start(dataDir, ...args))
  if (status !== 0)
    throw new Error(`retort ${args.join(' ')} ended with ${status}: ${stderr}${stdout.slice(-2000)}`)
  return stdout
}

/** Whole lines of a log. */
export function records(run: string, log: string): Record<string, unknown>[] {
  const path = join(run, log)
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  return whole.filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>)
}

export function checkpoints(run: string): string[] {
  const path = join(run, 'checkpoints')
  if (!existsSync(path)) return []
  const names = readdirSync(path).filter((name) => name.startsWith('step-'))
  return names.sort().map((name) => join(path, name))
}
