import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { usualReading } from '#contract'
import { createRandom } from '../random'
import { readDocuments } from './documents'
import { importCorpus } from './importCorpus'
import { splitOfHashes } from './split'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-split-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const importFile = (path: string) =>
  importCorpus(
    { ...usualReading, dataDir, threads: 0, kind: 'import-corpus', id: 'c', name: 'c', path },
    () => {},
  )

it('split documents by what they hold: twins on one side, each where it was when others come', async () => {
  const sides = async (texts: readonly string[]) => {
    const file = join(dataDir, 'split.jsonl')
    writeFileSync(file, texts.map((text) => JSON.stringify({ text })).join('\n'))
    const row = await importFile(file)
    const found = new Map<string, Set<string>>()
    for (const split of ['train', 'held-out', 'calibration'] as const)
      for await (const document of readDocuments(dataDir, row, split)) {
        const text = document as string
        found.set(text, (found.get(text) ?? new Set()).add(split))
      }
    expect(row.heldOutDocuments).toBe(texts.filter((text) => found.get(text)!.has('held-out')).length)
    return found
  }
  const texts = Array.from({ length: 400 }, (_, i) => `Document ${i % 300} of some.`)
  const before = await sides(texts)
  expect([...before.values()].every(({ size }) => size === 1)).toBe(true)
  const share = (side: string) => [...before.values()].filter((one) => one.has(side)).length / 300
  expect(Math.abs(share('held-out') - 0.05)).toBeLessThan(0.04)
  expect(Math.abs(share('calibration') - 0.05)).toBeLessThan(0.04)
  const after = await sides(['Another one.', ...texts.reverse(), 'And one more.'])
  for (const [text, side] of before) expect(after.get(text)).toEqual(side)
})

it('hold something out of the smallest corpora, and leave something to train on', () => {
  const random = createRandom(4, 'fractions')
  for (let n = 2; n < 40; n++) {
    for (let i = 0; i < 50; i++) {
      // Anywhere, or all at one end.
      const [from, width] = [
        [0, 1],
        [0, 0.04],
        [0.96, 0.04],
      ][i % 3]!
      const all = Float64Array.from({ length: n }, () => from! + width! * random.next())
      const { heldOutBelow, calibrationFrom } = splitOfHashes(all)
      const held = all.filter((x) => x < heldOutBelow).length
      const calibration = all.filter((x) => x >= heldOutBelow && x >= calibrationFrom).length
      expect(held).toBeGreaterThan(0)
      expect(n - held - calibration).toBeGreaterThan(0)
      if (n >= 11) expect(calibration).toBeGreaterThan(0)
    }
  }
})
