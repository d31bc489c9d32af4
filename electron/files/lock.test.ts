import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { livesStill, noteProcess, takeFileLock, type Holder } from './lock'

let folder: string
let file: string
const children: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  file = join(folder, 'lock.json')
  return () => rmSync(folder, { recursive: true, force: true })
})
afterAll(() => children.forEach((child) => child.kill('SIGKILL')))

const deadProcess = () => spawnSync(process.execPath, ['-e', '']).pid
const leave = (holder: Partial<Holder>) =>
  writeFileSync(file, JSON.stringify({ host: hostname(), since: 'then', nonce: 'left', ...holder }))

describe('a lock file', () => {
  it('is left to a holder that lives, and taken from one whose id another process has now', () => {
    const lock = takeFileLock(file)
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Holder
    expect(takeFileLock(file)).toEqual(holder)
    if ('release' in lock) lock.release()
    if (process.platform !== 'linux') return
    for (const other of [{ started: '1' }, { boot: 'an earlier one' }]) {
      leave({ ...holder, nonce: 'left', ...other })
      const taken = takeFileLock(file)
      expect(taken).toHaveProperty('release')
      if ('release' in taken) taken.release()
    }
  })

  it('of another machine whose clock goes ahead is left to it while it beats, and taken when it does not', () => {
    leave({ host: 'elsewhere', pid: 1 })
    const future = new Date(Date.now() + 3600_000)
    utimesSync(file, future, future)
    const taken = takeFileLock(file)
    expect(taken).toHaveProperty('release')
    if ('release' in taken) taken.release()
  }, 30_000)

  it('leaves nothing beside it, also where a claim was left behind', () => {
    leave({ pid: deadProcess() })
    writeFileSync(`${file}.claim-left`, JSON.stringify({ pid: deadProcess(), host: hostname(), nonce: 'x' }))
    const taken = takeFileLock(file)
    expect(taken).toHaveProperty('release')
    if ('release' in taken) taken.release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('knows a process again, and not another one of the same id', () => {
    expect(livesStill(noteProcess(process.pid))).toBe(true)
    expect(livesStill(String(process.pid))).toBe(true)
    expect(livesStill(noteProcess(deadProcess()))).toBe(false)
    if (process.platform === 'linux') expect(livesStill(`${process.pid}\nthen 1\n`)).toBe(false)
  })

  it('left behind is taken by one of four processes that ask at the same moment, every time', async () => {
    const source = `
      import { createInterface } from 'node:readline'
      const { takeFileLock } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'lock.ts')).href)})
      let lock
      for await (const line of createInterface({ input: process.stdin })) {
        if (line === 'release') lock?.release?.()
        else {
          // The same moment in all of them.
          while (Date.now() < Number(line));
          lock = takeFileLock(${JSON.stringify(file)})
        }
        console.log(line === 'release' ? 'released' : 'release' in lock ? 'took' : 'held')
      }`
    const askers = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      children.push(child)
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      return async (word: string) => {
        child.stdin.write(`${word}\n`)
        return (await lines.next()).value as string
      }
    })
    const all = (word: string) => Promise.all(askers.map((ask) => ask(word)))
    await all('release')
    const pid = deadProcess()
    for (let trial = 0; trial < 40; trial++) {
      leave({ pid, nonce: `left-${trial}` })
      const answers = await all(String(Date.now() + 15))
      expect(answers.filter((answer) => answer === 'took')).toHaveLength(1)
      await all('release')
      expect(existsSync(file)).toBe(false)
    }
  }, 60_000)
})
