import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { EvaluationRecord, StepRecord } from '#contract'
import { writeJsonLinesAtomic } from '../files'
import { readColumns } from '.'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const log = () => join(folder, 'metrics.jsonl')
const kept = () => join(folder, 'metrics.columns')

const STEPS = 3000
const stepOf = (step: number): StepRecord => ({
  step,
  tokens: step * 96,
  seconds: step / 20,
  loss: step === 1700 ? 'NaN' : step === 1701 ? 'Infinity' : 2 + 1 / step,
  ce: 2,
  // Of a run that learned from its teachers later.
  ...(step > 10 && { kd: 1 / step, alpha: [0.25, 0.75] }),
  gradNorm: 1,
  learningRate: 1e-3,
  tokensPerSecond: 20_000 + step,
})
const evaluation: EvaluationRecord = {
  split: 'held-out',
  step: 1500,
  crossEntropy: 1.5,
  perplexity: Math.exp(1.5),
  bitsPerByte: 1,
  corpora: [],
  seconds: 1,
}
function write(): void {
  const steps = Array.from({ length: STEPS }, (_, i) => stepOf(i + 1))
  writeJsonLinesAtomic(log(), [...steps.slice(0, 1500), evaluation, ...steps.slice(1500)])
}

function check({ columns, evaluations }: Awaited<ReturnType<typeof readColumns>>, steps = STEPS) {
  const loss = columns.get('loss')!
  expect(loss.steps).toEqual(Float64Array.from({ length: steps }, (_, i) => i + 1))
  expect([...loss.values.subarray(1698, 1702)]).toEqual([2 + 1 / 1699, NaN, Infinity, 2 + 1 / 1702])
  expect(columns.get('alpha.1')!.steps[0]).toBe(11)
  expect([...columns.get('heldOut.crossEntropy')!.values]).toEqual([1.5])
  expect(evaluations).toEqual([evaluation])
}

it('a run’s columns are the same from its log and from what is kept of it', async () => {
  write()
  check(await readColumns(folder, false))
  expect(existsSync(kept())).toBe(false)
  check(await readColumns(folder, true))
  const bytes = readFileSync(kept())
  check(await readColumns(folder, true))
  // Read from there: a log of the same size and time is not looked into.
  expect(bytes.length).toBeGreaterThan(STEPS * 8 * 10)
})

it('columns of another log, or such that are not whole, are made anew', async () => {
  write()
  await readColumns(folder, true)
  for (const at of [0, 40, 5000, 200_000]) {
    const bytes = readFileSync(kept())
    bytes[at]! ^= 1
    writeFileSync(kept(), bytes)
    check(await readColumns(folder, true))
  }
  const whole = readFileSync(kept())
  writeFileSync(kept(), whole.subarray(0, whole.length / 2))
  check(await readColumns(folder, true))
  appendFileSync(log(), `${JSON.stringify(stepOf(STEPS + 1))}\n`)
  check(await readColumns(folder, true), STEPS + 1)
})

it('a damaged line is refused by its number', async () => {
  write()
  appendFileSync(log(), '{"step":"x"}\n')
  await expect(readColumns(folder, true)).rejects.toThrow(`metrics.jsonl: line ${STEPS + 2}`)
  expect(existsSync(kept())).toBe(false)
})
