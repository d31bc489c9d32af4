import { describe, expect, it } from 'vitest'
import { meanAndDeviation, type HeldOutDocument } from '#contract'
import { createRandom } from '../../files'
import { holm, isReal, pairedBootstrap, studentP, studentQuantile } from './statistics'

const document = (index: number, nll: number, tokens = 10, corpus = 'c'): HeldOutDocument => ({
  corpus,
  document: index,
  tokens,
  bytes: 20,
  nll,
})
const scores = (...rows: HeldOutDocument[][]) => new Map(rows.map((row, i) => [i + 1, row]))

describe('paired bootstrap', () => {
  it('enumerates two documents as by hand', () => {
    // Differences of 1 and 3 nats over 10 tokens each. Draws: (1,1), (1,3), (3,1), (3,3) at a quarter each.
    const a = scores([document(0, 11), document(1, 13)])
    const b = scores([document(0, 10), document(1, 10)])
    const result = pairedBootstrap(a, b)!
    expect(result.value).toBeCloseTo(4 / 20, 12)
    expect(result.low).toBeCloseTo(2 / 20, 12)
    expect(result.high).toBeCloseTo(6 / 20, 12)
    expect(result).toMatchObject({ seeds: 1, documents: 2 })
    expect(result.p).toBeCloseTo(2 / 10_001, 12)
  })

  it('draws seeds: one seed better, one worse is no difference', () => {
    const a = scores([document(0, 12)], [document(0, 8)])
    const b = scores([document(0, 10)], [document(0, 10)])
    const result = pairedBootstrap(a, b)!
    // (+,+), (+,-), (-,+), (-,-): the ends are +0.2 and -0.2, half of the mass is exactly 0.
    expect([result.value, result.low, result.high]).toEqual([0, -0.2, 0.2].map((v) => expect.closeTo(v, 12)))
    expect(result.p).toBe(1)
    expect(isReal(result, result.p)).toBe(false)
  })

  it('keeps the share of each corpus in every replicate', () => {
    // Each corpus has one document: within-corpus draws leave nothing to chance.
    const a = scores([document(0, 12, 10, 'x'), document(0, 30, 10, 'y')])
    const b = scores([document(0, 10, 10, 'x'), document(0, 10, 10, 'y')])
    expect(pairedBootstrap(a, b)).toMatchObject({ low: 22 / 20, high: 22 / 20 })
  })

  it('weighs documents by tokens, or by bytes in bits', () => {
    const a = scores([document(0, 15, 5), document(1, 45, 15)])
    const b = scores([document(0, 10, 5), document(1, 40, 15)])
    expect(pairedBootstrap(a, b)!.value).toBeCloseTo(10 / 20, 12)
    expect(pairedBootstrap(a, b, 'bitsPerByte')!.value).toBeCloseTo(10 / Math.LN2 / 40, 12)
  })

  it('pairs what both have, and only that', () => {
    const a = scores([document(0, 11), document(1, 99)])
    const b = scores([document(0, 10), document(2, 0)])
    expect(pairedBootstrap(a, b)).toMatchObject({ documents: 1, value: expect.closeTo(0.1, 12) })
    expect(pairedBootstrap(a, new Map([[7, [document(0, 1)]]]))).toBeUndefined()
    expect(pairedBootstrap(a, scores([document(5, 1)]))).toBeUndefined()
  })

  it('covers: of 200 pairs of equal methods few seem to differ', () => {
    const random = createRandom(5, 'coverage')
    let wrong = 0
    for (let i = 0; i < 200; i++) {
      const noise = () => Array.from({ length: 40 }, (_, d) => document(d, 30 + random.normal()))
      const result = pairedBootstrap(scores(noise()), scores(noise()), 'crossEntropy', {
        replicates: 400,
        seed: i,
      })!
      if (isReal(result, result.p)) wrong++
    }
    expect(wrong).toBeLessThanOrEqual(22)
  })

  it('says nothing where a document is lost: without it the loser would look well', () => {
    const b = scores([document(0, 10), document(1, 10)])
    for (const nll of ['Infinity', 'NaN'] as const)
      expect(pairedBootstrap(scores([document(0, 11), { ...document(1, 0), nll }]), b)).toBeUndefined()
  })

  it('calls nothing of one document and one seed real, for every draw is the same', () => {
    const found = pairedBootstrap(scores([document(0, 10)]), scores([document(0, 30)]))!
    expect(found.p).toBe(1)
    expect(isReal(found, found.p)).toBe(false)
  })

  it('is the same twice', () => {
    const random = createRandom(2, 'twice')
    const noise = () =>
      [1, 2].map(() => Array.from({ length: 9 }, (_, d) => document(d, 30 + random.normal())))
    const [a, b] = [scores(...noise()), scores(...noise())]
    expect(pairedBootstrap(a, b)).toEqual(pairedBootstrap(a, b))
  })
})

describe('Holm', () => {
  it('corrects as by hand', () => {
    // Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1; never falling.
    expect(holm([0.02, 0.2, 0.01, 0.03])).toEqual([0.06, 0.2, 0.04, 0.06].map((v) => expect.closeTo(v, 12)))
    expect(holm([0.6, 0.7])).toEqual([1, 1])
  })
})

it('gives mean and sample deviation', () => {
  expect(meanAndDeviation([1, 2, 3, 4])).toEqual({ mean: 2.5, deviation: Math.sqrt(5 / 3) })
  expect(meanAndDeviation([7])).toEqual({ mean: 7, deviation: null })
})

describe('Student’s t', () => {
  it('has the p of known quantiles', () => {
    // One degree is Cauchy's distribution: p = 1 - 2 atan(t) / pi. Two: p = 1 - t / sqrt(2 + t^2).
    for (const t of [0.3, 1, 4]) {
      expect(studentP(t, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(t), 12)
      expect(studentP(-t, 2)).toBeCloseTo(1 - t / Math.sqrt(2 + t * t), 12)
    }
    expect([studentP(0, 3), studentP(0, 4)]).toEqual([1, 1])
    for (let freedom = 1; freedom <= 30; freedom++) {
      expect(studentP(studentQuantile(freedom), freedom)).toBeCloseTo(0.05, 4)
    }
  })
})
