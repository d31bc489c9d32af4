import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { compare, questions } from './kernels'
import { runPart } from './part'
import { heard, tableOf, type Checked } from './row'
import { Tally } from './tally'

const script = (text: string, seconds = 30) => {
  const said: unknown[] = []
  const part = {
    command: process.execPath,
    args: ['-e', text],
    seconds,
    on: (one: unknown) => said.push(one),
  }
  return runPart(part).then((ending) => ({ said, ...ending }))
}

describe('a part of the check', () => {
  it('tells rows and progress as they come', async () => {
    const { said, error } = await script(
      `console.log('step 1'); console.log(JSON.stringify({ row: { what: 'A', device: 'x' } })); console.log('{no json')`,
    )
    expect(said).toEqual(['step 1', { row: { what: 'A', device: 'x' } }, '{no json'])
    expect(error).toBeUndefined()
  })

  it('that throws, dies, hangs or cannot be started says so in one line', async () => {
    expect((await script(`throw new TypeError('no adapter')`)).error).toBe('TypeError: no adapter')
    expect((await script(`process.kill(process.pid, 'SIGSEGV')`)).error).toMatch(/dies with SIGSEGV/)
    expect((await script(`setInterval(() => {}, 1000)`, 0.3)).error).toBe('not done after 0 s')
    expect((await runPart({ command: 'no-such-python', args: [], seconds: 5, on: () => {} })).error).toMatch(
      /ENOENT/,
    )
  })
})

describe('the table', () => {
  it('puts numbers to the right, leaves out what was not measured, and says what failed', () => {
    const rows = [
      {
        what: 'A',
        device: 'gpu',
        precision: 'f32' as const,
        msPerStep: 12.345,
        tokensPerSecond: 165999.6,
        note: 'so',
      },
      { what: 'real', device: 'gpu', error: 'no memory' },
    ]
    expect(tableOf(rows).split('\n')).toEqual([
      'what  computed by       ms a step  tokens/s  GPU MB  host MB',
      'A     gpu          f32       12.3   166,000                   so',
      'real  gpu                                                     FAILED: no memory',
    ])
  })

  it('takes a line that is no message for progress', () => {
    expect(heard('{"row":{"what":"A","device":"x"}}')).toEqual({ row: { what: 'A', device: 'x' } })
    expect(heard('{"other":1}')).toBeUndefined()
    expect(heard('{"row":')).toBeUndefined()
    expect(heard('step 3')).toBeUndefined()
  })
})

describe('what is compared', () => {
  const one = (...data: number[]) => ({ shape: [data.length], type: 'float32', data })

  it('is right to 5e-4 of the value, or of 1', () => {
    expect(compare(one(1000.4), one(1000))).toBeCloseTo(4e-4, 9)
    expect(compare(one(1000.6), one(1000))).toEqual({ words: '1000.6 at place 0, not 1000', special: false })
    expect(compare(one(0.0006), one(0))).toMatchObject({ special: false })
    expect(compare(one(NaN), one(1))).toMatchObject({ special: false })
  })

  it('is told apart where the right value is no number', () => {
    expect(compare(one(NaN, 1), one(NaN, 1))).toBe(0)
    expect(compare(one(0, 1), one(NaN, 1))).toEqual({ words: '0 at place 0, not NaN', special: true })
    expect(compare(one(0, 2), one(NaN, 1))).toEqual({ words: '2 at place 1, not 1', special: false })
  })

  it('is no other shape or type', () => {
    expect(compare({ ...one(1), shape: [1, 1] }, one(1))).toMatchObject({ words: 'shape [1,1], not [1]' })
    expect(compare({ ...one(1), type: 'int32' }, one(1))).toMatchObject({ words: 'int32, not float32' })
  })

  it('has a name of its own for every case', () => {
    const names = questions().map(({ name }) => name)
    expect(names.length).toBeGreaterThan(700)
  })
})

describe('the tally of kernels', () => {
  const some = (next: number, more: Partial<Checked> = {}): Checked => ({
    next,
    right: 16,
    wrong: [],
    special: [],
    worst: { what: 'tan', error: 1e-6 },
    called: ['Tan'],
    kernels: 148,
    ...more,
  })

  it('looks case by case once a process has died, and leaves out the one that kills it', () => {
    const tally = new Tally()
    tally.add(some(16))
    expect(tally.after('its process dies with SIGSEGV')).toBe(1)
    expect(tally.next).toBe(16)
    tally.add(some(17, { right: 1, worst: { what: 'exp', error: 2e-5 }, called: ['Exp'] }))
    tally.after('its process dies with SIGSEGV')
    expect(tally.next).toBe(18)
    const [row, wrong] = tally.rows('gpu', undefined)
    expect(row!.error).toBe('17 of 18 cases right, 2 of 148 kernels; worst 2.0e-5 (exp); 1 wrong')
    expect(wrong!.error).toBe('case 18: its process dies with SIGSEGV')
  })

  it('is no failure where only what is no number is wrong', () => {
    const tally = new Tally()
    tally.add(some(17, { special: ['exp of special numbers: 0 at place 0, not NaN'] }))
    const [row, special] = tally.rows('gpu', undefined)
    expect(row!.error).toBeUndefined()
    expect(special!.note).toBe('1 cases are wrong there: exp of special numbers')
  })
})

it('the check refuses an argument that it does not know, in one line', () => {
  const at = `${import.meta.dirname}/index.ts`
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', at, '--fast'], {
    encoding: 'utf8',
  })
  expect(status).toBe(2)
  expect(stderr).toBe('check:gpu: unknown argument --fast; it takes --quick\n')
})
