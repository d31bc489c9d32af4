import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterProfile, parse } from '#contract'
import { run } from './login'
import { quote, quoteAll } from './quote'
import { batchScript } from './script'
import { batchArguments, parseAccounts, parseQueue, stateOf } from './slurm'
import { Transfer } from './transfer'
import { Login } from './login'

const NASTY = [
  'two words',
  "it's",
  '"quoted"',
  '$(touch BOOM)',
  '`touch BOOM`',
  '; touch BOOM',
  'a\\b\\',
  'new\nline',
  '$HOME *',
  '',
  '~',
  'ünïcode 🙂',
  '-n',
  "'; touch BOOM; '",
]

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-cluster-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const untouched = () => expect(existsSync(join(folder, 'BOOM'))).toBe(false)

describe('shell words', () => {
  it.each(['sh', 'bash'])('come through %s as they are', (shell) => {
    const line = `printf '%s\\0' ${quoteAll(NASTY)}`
    const { stdout } = spawnSync(shell, ['-c', line], { encoding: 'utf8', cwd: folder })
    expect(stdout.split('\0').slice(0, -1)).toEqual(NASTY)
    untouched()
  })

  it('refuse a zero byte, which no shell can carry', () => {
    expect(() => quote('a\0b')).toThrow(/zero byte/)
  })

  it('come through a login host as they are', async () => {
    // What sshd does with a command: the login shell gets the words behind the host as one line.
    const ssh = join(folder, 'ssh')
    writeFileSync(ssh, '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec sh -c "$*"\n')
    chmodSync(ssh, 0o755)
    const login = new Login({ host: 'login', ssh: [ssh] })
    const answer = await login.ask(['printf', '%s\\0', ...NASTY])
    expect(answer.stdout.split('\0').slice(0, -1)).toEqual(NASTY)
  })
})

describe('a batch script', () => {
  const directory = () => join(folder, `data ' "$(touch BOOM)"`)

  function script(command: string[]) {
    mkdirSync(join(directory(), 'submissions/array'), { recursive: true })
    const profile = parse(clusterProfile, {
      name: 'nasty',
      dataDir: directory(),
      command,
      environment: Object.fromEntries(NASTY.map((word, i) => [`WORD_${i}`, word.replace('\n', ' ')])),
    })
    return batchScript(profile, ['run-a', 'run-b'], 'array', true)
  }

  function task(text: string, env: Record<string, string> = {}) {
    const slurm = { SLURM_ARRAY_TASK_ID: '1', SLURM_ARRAY_JOB_ID: '7', SLURM_CPUS_PER_TASK: '3' }
    const file = join(folder, 'script.sh')
    writeFileSync(file, text)
    return spawnSync('bash', [file], { cwd: folder, env: { ...process.env, ...slurm, ...env } })
  }

  it('runs the cell of its task, whatever stands in names, paths and the environment', () => {
    const cell = join(folder, "cell it's.mjs")
    const out = join(folder, 'out.json')
    writeFileSync(
      cell,
      `import { writeFileSync } from 'node:fs'
       const words = Object.entries(process.env).filter(([name]) => name.startsWith('WORD_'))
       writeFileSync(process.env.OUT, JSON.stringify({ args: process.argv.slice(2), words: Object.fromEntries(words) }))
       console.log('said'); process.exit(3)`,
    )
    const { status } = task(script([process.execPath, cell]), { OUT: out })
    expect(status).toBe(3)
    const { args, words } = JSON.parse(readFileSync(out, 'utf8'))
    const own = ['--data-dir', directory(), '--submission', 'array', '--prepare']
    expect(args).toEqual(['cell', 'run-b', ...own, '--threads', '3'])
    NASTY.forEach((word, i) => expect(words[`WORD_${i}`]).toBe(word.replace('\n', ' ')))
    const log = readFileSync(join(directory(), 'submissions/array/passes-1.log'), 'utf8')
    expect(log).toMatch(/^task 7_1 .*\nsaid\nexit status 3\n$/)
    untouched()
  })

  it('ends where a module cannot be loaded', () => {
    const profile = parse(clusterProfile, { name: 'm', dataDir: folder, modules: ['no such; touch BOOM'] })
    mkdirSync(join(folder, 'submissions/array'), { recursive: true })
    expect(task(batchScript(profile, ['a', 'b'], 'array')).status).toBe(1)
    untouched()
  })
})

describe('what Slurm says', () => {
  it('is given every setting as an argument of its own', () => {
    const profile = parse(clusterProfile, {
      name: 'big',
      dataDir: '/d',
      partition: 'long one',
      memory: '4G',
      time: '2:00:00',
      gres: 'gpu:1',
      cpus: 4,
      throttle: 3,
      warning: 60,
      options: ['--exclude=bad node'],
    })
    expect(batchArguments(profile, { tasks: 12, name: 'x', after: '41' })).toEqual(
      expect.arrayContaining([
        '--array=0-11%3',
        '--cpus-per-task=4',
        '--partition=long one',
        '--mem=4G',
        '--time=2:00:00',
        '--gres=gpu:1',
        '--signal=B:USR1@60',
        '--requeue',
        '--dependency=afterany:41',
        '--exclude=bad node',
      ]),
    )
  })

  it('is read, with reasons', () => {
    const states = new Map(parseQueue('0|RUNNING|None\n12|PENDING|BeginTime\n\nN/A|RUNNING|None\n'))
    expect(states.get(0)).toEqual({ state: 'running', word: 'RUNNING', reason: undefined })
    expect(states.get(12)).toEqual({ state: 'pending', word: 'PENDING', reason: 'BeginTime' })
    expect(states.size).toBe(2)
    const accounts = new Map(parseAccounts('7_0|COMPLETED\n7_3|CANCELLED by 1000\n7_[4-9]|PENDING\n'))
    expect([...accounts]).toEqual([
      [0, { state: 'ended', word: 'COMPLETED' }],
      [3, { state: 'ended', word: 'CANCELLED' }],
    ])
    expect(['NODE_FAIL', 'TIMEOUT', 'OUT_OF_MEMORY', 'PREEMPTED'].map(stateOf)).toEqual(
      Array(4).fill('ended'),
    )
  })
})

describe('a profile', () => {
  it.each([
    [{ host: '-oProxyCommand=touch' }, /host: a host does not begin with a dash/],
    [{ dataDir: 'relative' }, /dataDir: the path is absolute/],
    [{ memory: '4 G' }, /memory: .*4G/],
    [{ time: 'long' }, /time: .*minutes/],
    [{ environment: { 'A B': 'x' } }, /environment/],
    [{ partion: 'p' }, /partion: unknown key; expected "partition"/],
  ])('%j is refused', (wrong, message) => {
    expect(() => parse(clusterProfile, { name: 'x', dataDir: '/d', ...wrong })).toThrow(message)
  })
})

const rsync = spawnSync('rsync', ['--version']).status === 0
if (!rsync) console.log('SKIPPED: copies to a cluster need rsync, which is not installed')
describe.skipIf(!rsync)('copies', () => {
  it('go there and back, with what has been removed there', async () => {
    const here = join(folder, "here it's")
    const there = join(folder, 'there $(touch BOOM)')
    mkdirSync(join(here, 'runs/a/checkpoints/old'), { recursive: true })
    writeFileSync(join(here, 'runs/a/config.json'), '{}')
    const profile = parse(clusterProfile, { name: 'copy', dataDir: there, transfer: 'rsync' })
    const transfer = new Transfer(new Login(profile), profile, here)
    await transfer.push(['runs/a'])
    expect(readFileSync(join(there, 'runs/a/config.json'), 'utf8')).toBe('{}')
    rmSync(join(there, 'runs/a/checkpoints/old'), { recursive: true })
    writeFileSync(join(there, 'runs/a/metrics.jsonl'), 'line\n')
    await transfer.pull(['runs/a'])
    expect(existsSync(join(here, 'runs/a/checkpoints/old'))).toBe(false)
    expect(readFileSync(join(here, 'runs/a/metrics.jsonl'), 'utf8')).toBe('line\n')
    untouched()
  })
})

it('a program that never answers is given up, and one that is missing is named', async () => {
  await expect(run(['sleep', '60'], '', 200)).rejects.toThrow(/sleep did not answer within/)
  await expect(run(['no-such-program'])).rejects.toThrow(/cannot start no-such-program/)
})
