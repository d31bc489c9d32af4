import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commandLine } from '../built'

const root = resolve(import.meta.dirname, '../../..')
const faults = join(root, '../shared/faults/trust')
const here = existsSync(faults)
if (!here) console.warn('SKIPPED: ../shared/faults/trust is not here')

/** Which commands read a file, and the field that a refusal names where there is one. */
const readers: Record<string, { commands: string[][]; field?: string }> = {
  'grid-product.yaml': {
    commands: [
      ['grid', 'FILE', '--dry-run'],
      ['grid', 'FILE'],
    ],
    field: 'axes',
  },
  'grid-proto.yaml': { commands: [['grid', 'FILE', '--dry-run']], field: 'axes.__proto__.polluted' },
  'grid-range.yaml': { commands: [['grid', 'FILE', '--dry-run']], field: 'axes.train.learningRate' },
  'hf-layers': { commands: [['import', 'teacher', 'FILE']], field: 'num_hidden_layers' },
  'llama2c-28-bytes.bin': { commands: [['import', 'teacher', 'FILE']], field: 'n_layers' },
  'yaml-alias.yaml': {
    commands: [
      ['run', 'FILE'],
      ['train-teacher', 'FILE'],
      ['study', 'FILE'],
      ['cluster', 'add', 'FILE'],
    ],
    field: 'line 1, column 4',
  },
  'yaml-bomb.yaml': {
    commands: [
      ['run', 'FILE'],
      ['grid', 'FILE', '--dry-run'],
      ['study', 'FILE'],
      ['cluster', 'add', 'FILE'],
    ],
  },
}
/** An attack on a host, which hosts/web/web.test.ts makes, and no document. */
const attacks = ['upgrade-reset.py']

const MB = 2 ** 20
const MOST_ABOVE_NOTHING = 200 * MB

let folder: string
let dataDir: string
let hook: string
/** Peak memory of a command that reads nothing. */
let nothing: number

/** The command as a person gives it, and the largest memory that one of its processes had. */
function retort(...args: string[]) {
  const peaks = mkdtempSync(join(folder, 'peaks-'))
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [commandLine, ...args, '--data-dir', dataDir],
    {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: `--import=${pathToFileURL(hook)}`, RETORT_TEST_PEAKS: peaks },
    },
  )
  const seconds = (performance.now() - started) / 1000
  const bytes = readdirSync(peaks).map((name) => Number(readFileSync(join(peaks, name), 'utf8')))
  return { status, stdout, stderr, seconds, peak: Math.max(...bytes) }
}

/** Every file below the data directory. */
function written(): string[] {
  const entries = readdirSync(dataDir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  dataDir = join(folder, 'data')
  hook = join(folder, 'peak.mjs')
  writeFileSync(
    hook,
    `import { writeFileSync } from 'node:fs'
     process.on('exit', () => {
       writeFileSync(process.env.RETORT_TEST_PEAKS + '/' + process.pid, String(process.resourceUsage().maxRSS * 1024))
     })`,
  )
  mkdirSync(dataDir)
  if (!here) return
  nothing = retort('--version').peak
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(!here)('a file that was made to do harm', () => {
  it('is one that this test knows', () => {
    expect([...Object.keys(readers), ...attacks].sort()).toEqual(readdirSync(faults).sort())
  })

  const cases = Object.entries(readers).flatMap(([name, { commands, field }]) =>
    commands.map((command) => ({ name, command, field, said: command.join(' ').replace('FILE', name) })),
  )
  it.each(cases)('is refused, named, and leaves no trace: $said', ({ name, command, field, said }) => {
    const file = join(faults, name)
    const { status, stdout, stderr, seconds, peak } = retort(
      ...command.map((word) => (word === 'FILE' ? file : word)),
    )
    console.log(`${said}: ${seconds.toFixed(1)} s, ${Math.round((peak - nothing) / MB)} MB above nothing`)
    expect(status, stderr).toBe(2)
    expect(stdout).toBe('')
    // Progress is told on the same stream, a line now and then.
    const lines = stderr.split('\n').filter((line) => line && !/^[█░]/.test(line))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(file)
    if (field) expect(lines[0]).toContain(`: ${field}: `)
    expect(lines[0]).not.toMatch(/Unexpected|Invalid input|JSON at|Unresolved|Excessive|\bat .+:\d+:\d+/)
    expect(peak).toBeGreaterThan(0)
    expect(peak - nothing).toBeLessThan(MOST_ABOVE_NOTHING)
    expect(written()).toEqual([])
  })
})
