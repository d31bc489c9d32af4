import { expect, it } from 'vitest'
import { createRandom } from '../random'
import { NearDuplicates } from './nearDuplicates'

const random = createRandom(11, 'words')
const words = (count: number) => Array.from({ length: count }, () => `w${random.integer(5000)}`)

/** Jaccard similarity of the runs of five words, counted. */
function similarity(a: readonly string[], b: readonly string[]): number {
  const runs = (list: readonly string[]) =>
    new Set(list.slice(4).map((_, i) => list.slice(i, i + 5).join(' ')))
  const [one, other] = [runs(a), runs(b)]
  const both = [...one].filter((run) => other.has(run)).length
  return both / (one.size + other.size - both)
}

/** The same words, every so many of them another. */
const changed = (list: readonly string[], every: number) =>
  list.map((word, i) => (i % every === every - 1 ? `x${random.integer(5000)}` : word))

it('finds what is nearly the same, and not what is half the same', () => {
  const near = new NearDuplicates()
  const documents = Array.from({ length: 200 }, () => words(300))
  expect(documents.filter((list) => near.has(list.join(' ')))).toHaveLength(0)
  expect(near.compared).toBe(200)
  const alike = documents.map((list) => changed(list, 150))
  const half = documents.map((list) => changed(list, 15))
  for (const [i, list] of documents.entries()) {
    expect(similarity(list, alike[i]!)).toBeGreaterThan(0.9)
    expect(similarity(list, half[i]!)).toBeLessThan(0.6)
  }
  const found = (lists: readonly string[][], sign: string) =>
    lists.filter((list) => near.has(list.join(sign))).length
  // Cases, blanks and marks are no difference.
  expect(found(alike, ', ')).toBeGreaterThan(195)
  expect(near.has(documents[3]!.join('\n').toUpperCase())).toBe(true)
  expect(found(half, ' ')).toBeLessThan(5)
})

it('compares no text of a few words', () => {
  const near = new NearDuplicates()
  for (let i = 0; i < 2; i++) expect(near.has('Yes. It was emptied again.')).toBe(false)
})
