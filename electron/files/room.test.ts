import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { experiment, failed, parse, type RunConfig } from '#contract'
import { freeBytes, isDiskFull, JsonLinesWriter, megabytes, runBytes, withRoom } from '.'

/** Linux' device that takes nothing. */
const FULL = '/dev/full'

describe.skipIf(!existsSync(FULL))('a full disk', () => {
  it('is told with the file, what it takes and what is free, and is known again however often it is wrapped', () => {
    const log = new JsonLinesWriter(FULL)
    let thrown: unknown
    try {
      log.append({ step: 1 })
    } catch (error) {
      thrown = error
    }
    expect((thrown as Error).message).toMatch(
      /^the disk is full: \/dev\/full takes 0\.1 MB, \d.* are free; make room/,
    )
    expect(isDiskFull(thrown)).toBe(true)
    expect(isDiskFull(failed('the run failed', thrown))).toBe(true)
    expect(isDiskFull(failed('the run failed'))).toBe(false)
  })
})

describe('room', () => {
  it('is asked of the nearest folder there is', () => {
    const here = freeBytes(tmpdir())!
    expect(here).toBeGreaterThan(0)
    expect(freeBytes(join(tmpdir(), 'not', 'there', 'yet'))).toBeGreaterThan(0)
  })

  it('passes other errors on as they are', () => {
    const other = new Error('EACCES: permission denied')
    expect(() =>
      withRoom('file', 1, () => {
        throw other
      }),
    ).toThrow(other)
  })

  it('is said in megabytes, never in none', () => {
    expect([1, 1.05 * 2 ** 20, 10 * 2 ** 20 + 1].map(megabytes)).toEqual(['0.1 MB', '1.1 MB', '11 MB'])
  })
})

describe('a run’s folder', () => {
  /** A Llama of 10 ids, width 4, one layer with a feed-forward width of 6, tied: 10 x 4 + 4 x 16 + 3 x 24 + 3 x 4. */
  const PARAMETERS = 188
  const bytesOf = (student: Record<string, unknown>, continues?: object) => {
    const definition = {
      name: 'r',
      corpus: 'c',
      teachers: ['t'],
      student,
      train: { steps: 10 },
      checkpoint: { every: 5, keep: 3 },
    }
    const model = {
      family: 'llama',
      vocab: 10,
      width: 4,
      layers: 1,
      heads: 1,
      kvHeads: 1,
      hidden: 6,
      tied: true,
    }
    const parsed = { experiment: parse(experiment, definition), student: model, continues }
    return runBytes(parsed as unknown as RunConfig)
  }
  const LOGS = 10 * 400

  it('takes weights and both moments of each checkpoint that is kept, and of the best', () => {
    expect(bytesOf({ width: 4, layers: 1, heads: 1 })).toBe(3 * 12 * PARAMETERS + LOGS)
  })

  it('takes of adapters those alone, and the model that they stand beside once; a model that is gone on with, too', () => {
    // Of rank 2 at the queries' matrix of 4 x 4: 2 x 4 and 4 x 2.
    const adapters = { from: 'm', lora: { rank: 2, targets: ['query'] } }
    expect(bytesOf(adapters)).toBe(3 * 12 * 16 + 4 * PARAMETERS + LOGS)
    expect(bytesOf({ width: 4, layers: 1, heads: 1 }, {})).toBe((3 * 12 + 4) * PARAMETERS + LOGS)
  })
})

describe('a log', () => {
  it('has whole lines after each other', () => {
    const folder = mkdtempSync(join(tmpdir(), 'retort-'))
    const log = new JsonLinesWriter(join(folder, 'log.jsonl'))
    for (const text of ['ä', 'b'.repeat(100_000)]) log.append({ text })
    log.close()
    const lines = readFileSync(join(folder, 'log.jsonl'), 'utf8').split('\n')
    expect(lines.map((line) => line.length)).toEqual([12, 100_011, 0])
    rmSync(folder, { recursive: true })
  })
})
