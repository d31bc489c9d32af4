/* eslint-disable max-lines -- one method, its parts computed independently */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { experiment, loss as lossSchema, parse, type RunConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import {
  binaryDivergence,
  lossWithForeign,
  ownWeighting,
  rankedDistance,
  spanTarget,
  teacherShares,
  type ForeignTarget,
} from './foreign'
import { RankComparison } from './ranks'
import { fuseTeachers, logitLoss } from './objective'

const values = async (t: tf.Tensor) => Array.from(await t.data())
const softmax = (z: number[], tau = 1) => {
  const e = z.map((x) => Math.exp((x - Math.max(...z)) / tau))
  return e.map((x) => x / e.reduce((a, b) => a + b))
}
const rows = (seed: number, n: number, vocab: number) => {
  const random = createRandom(seed, 'test-logits')
  return Array.from({ length: n }, () => Array.from({ length: vocab }, () => random.normal() * 2))
}
/** tau KL of the coins with probabilities p^(1 / tau) and q^(1 / tau), in float64. */
function coin(p: number, q: number, tau: number): number {
  const [a, b] = [p ** (1 / tau), q ** (1 / tau)]
  return tau * (a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b)))
}
const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length
const int = (list: number[]) => tf.tensor1d(list, 'int32')
const column = (list: number[]) => tf.tensor2d(list, [list.length, 1])

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[i]!)),
    )
}

// Six of the student's tokens, of 5 words; the teacher says the same in five tokens of 7 words. Spans: {0, 1}, {2},
// {3, 4} against the teacher's {0}, {1, 2}, {3}; token 5 and the teacher's 4 are in none.
const z = rows(1, 6, 5)
const labels = [2, 0, 4, 1, 1, 3]
const theirs = rows(2, 5, 7)
const theirLabels = [6, 0, 3, 5, 2]
const begins = [2, 0, 2, 2, 0, 0]
const chunk = () => ({
  logits: tf.tensor2d(theirs),
  targets: int(theirLabels),
  spans: int([0, 0, 2, 3, 3, 5]),
  teacherSpans: int([0, 2, 2, 3, 6]),
  weights: column(begins),
})
/** Rows of `theirs` that predict the first token of a span. */
const at = [0, 0, 1, 3, 0, 0]
const q = z.map((row, i) => softmax(row)[labels[i]!]!)
const p = theirs.map((row, i) => softmax(row)[theirLabels[i]!]!)
const texts = [
  [p[0]!, q[0]! * q[1]!],
  [p[1]! * p[2]!, q[2]!],
  [p[3]!, q[3]! * q[4]!],
] as const

/** L1 distance of two rows, sorted, the shorter padded with zeros. */
function sorted(a: number[], b: number[]): number {
  const down = (row: number[]) => [...row].sort((x, y) => y - x)
  const [x, y] = [down(a), down(b)]
  return Array.from({ length: Math.max(x.length, y.length) }, (_, i) =>
    Math.abs((x[i] ?? 0) - (y[i] ?? 0)),
  ).reduce((s, d) => s + d)
}

/** Students' rows against the teacher's, compared on the host. */
function ranked(own: number[][], other: number[][], tau: number, wanted = own.map(() => 1)) {
  const [vocab, size] = [own[0]!.length, other[0]!.length]
  const table = (rows: number[][]) => Float32Array.from(rows.flatMap((row) => softmax(row, tau)))
  const distances = new Float32Array(own.length)
  const signs = new Float32Array(own.length * vocab).fill(9)
  const tables = { student: table(own), teacher: table(other) }
  new RankComparison(vocab, size).compare(tables, wanted, distances, signs)
  return { distance: column([...distances]), signs: tf.tensor2d(signs, [own.length, vocab]) }
}

const settingOf = (changes: object = {}) => ({ loss: lossSchema.parse({ features: false, ...changes }) })

describe.each(['cpu', 'onnx'] as const)('teachers of other tokenizers, on %s', (backend) => {
  beforeAll(async () => {
    await startBackend(backend, { threads: 1 })
  })
  afterAll(() => tf.disposeVariables())

  const target = (compare: 'spans' | 'uld', tau: number, share = 1, own = z): ForeignTarget =>
    compare === 'spans'
      ? spanTarget(share, chunk())
      : {
          share,
          weights: column(begins),
          ranked: ranked(
            own,
            at.map((row) => theirs[row]!),
            tau,
            begins,
          ),
        }

  it.each([1, 2.5, 100])(
    'spans: the divergence of the probabilities of each span’s text, tau %f',
    async (tau) => {
      const setting = settingOf({ lambda: 1, tau })
      const { foreign } = lossWithForeign(setting, tf.tensor2d(z), int(labels), undefined, 0, [
        target('spans', tau),
      ])
      // Three spans of six tokens, each counting double, in a mean over the tokens.
      expectClose(await values(foreign!), [mean(texts.map(([a, b]) => coin(a, b, tau)))], 1e-4)
    },
  )

  it.each([1, 3])('uld: the distance of the sorted probabilities where spans begin, tau %f', async (tau) => {
    const setting = settingOf({ lambda: 1, tau })
    const { foreign } = lossWithForeign(setting, tf.tensor2d(z), int(labels), undefined, 0, [
      target('uld', tau),
    ])
    const pairs = [
      [0, 0],
      [2, 1],
      [3, 3],
    ] as const
    const expected = pairs.map(([i, j]) => tau * sorted(softmax(z[i]!, tau), softmax(theirs[j]!, tau)))
    expectClose(await values(foreign!), [mean(expected)])
  })

  it('uld of a teacher with fewer words counts the student’s others whole', async () => {
    const few = rows(4, 6, 3)
    expectClose(
      await values(rankedDistance(tf.tensor2d(z), ranked(z, few, 1), 1)),
      z.map((row, i) => sorted(softmax(row), softmax(few[i]!))),
    )
  })

  it('are 0 for the same words in any order, and never below', async () => {
    const shuffled = z.map((row) => [row[3]!, row[1]!, row[4]!, row[0]!, row[2]!])
    for (const other of [z, shuffled]) {
      const same = ranked(z, other, 1)
      expectClose(await values(rankedDistance(tf.tensor2d(z), same, 1)), Array(6).fill(0), 1e-6)
      expect(await values(same.signs)).toEqual(Array(30).fill(0))
    }
    const log = column(q.map(Math.log))
    expectClose(await values(binaryDivergence(log, log, 2)), Array(6).fill(0), 1e-6)
    const apart = await values(binaryDivergence(log, column(p.concat(0.5).map(Math.log)), 2))
    expect(apart.every((d) => d > 0)).toBe(true)
  })

  it('a teacher of the same tokens in other ids gives the binarised form token by token', async () => {
    const same = {
      logits: tf.tensor2d(rows(7, 6, 5)),
      targets: int(labels),
      spans: int([0, 1, 2, 3, 4, 5]),
      teacherSpans: int([0, 1, 2, 3, 4, 5]),
      weights: tf.ones([6, 1]) as tf.Tensor2D,
    }
    const said = rows(7, 6, 5).map((row, i) => softmax(row)[labels[i]!]!)
    const { foreign, loss } = lossWithForeign(
      settingOf({ lambda: 1 }),
      tf.tensor2d(z),
      int(labels),
      undefined,
      0,
      [spanTarget(1, same)],
    )
    const expected = mean(said.map((x, i) => coin(x, q[i]!, 1)))
    expectClose(await values(foreign!), [expected], 1e-4)
    expectClose(await values(loss), [expected], 1e-4)
  })

  it.each(['spans', 'uld'] as const)('%s has the gradient of finite differences', async (compare) => {
    for (const tau of [1, 2]) {
      const setting = settingOf({ lambda: 0.7, tau, foreign: { compare, weight: 1.5 } })
      const next = int(labels)
      const lossAt = (x: tf.Tensor, others: ForeignTarget[]) =>
        lossWithForeign(setting, x as tf.Tensor2D, next, undefined, 0, others).loss
      const others = [target(compare, tau)]
      const exact = await values(tf.grad((x) => lossAt(x, others))(tf.tensor2d(z)))
      const h = 1e-2
      const numeric: number[] = []
      for (const i of z.keys()) {
        for (const v of z[0]!.keys()) {
          const moved = (d: number) => z.map((row, a) => row.map((x, b) => (a === i && b === v ? x + d : x)))
          const at = (d: number) => lossAt(tf.tensor2d(moved(d)), [target(compare, tau, 1, moved(d))])
          const [up] = await values(at(h))
          const [down] = await values(at(-h))
          numeric.push((up! - down!) / (2 * h))
        }
      }
      expectClose(exact, numeric, 2e-3)
      expect(Math.max(...exact.map(Math.abs))).toBeGreaterThan(0.01)
    }
  })

  it('share lambda with the fused target as they are many', async () => {
    const setting = settingOf({ lambda: 0.6, tau: 2, foreign: { weight: 3 } })
    const logits = tf.tensor2d(z)
    const own = fuseTeachers(
      parse(experiment, definition()).weighting,
      2,
      [tf.tensor2d(rows(8, 6, 5)), tf.tensor2d(rows(9, 6, 5))],
      1,
    )
    const { kd, ce } = logitLoss(setting, logits, int(labels), own)
    const others: ForeignTarget[] = [target('spans', 2, 0.25), target('uld', 2, 0.25)]
    const mixed = lossWithForeign(setting, logits, int(labels), own, 0.5, others)
    const [one, other] = await values(mixed.foreign!)
    const [[k], [c]] = [await values(kd!), await values(ce)]
    const expected = 0.6 * (0.5 * k! + 3 * (0.25 * one! + 0.25 * other!)) + 0.4 * c!
    expectClose(await values(mixed.loss), [expected], 1e-5)
    expectClose(await values(mixed.kd!), [k!])
  })

  it('stay finite where either is certain', async () => {
    const sure = z.map((row, i) => row.map((_, v) => (v === labels[i]! ? 1e4 : -1e4)))
    const wrong = z.map((row, i) => row.map((_, v) => (v === labels[i]! ? -1e4 : 1e4)))
    for (const logits of [sure, wrong]) {
      for (const compare of ['spans', 'uld'] as const) {
        const [next, others] = [int(labels), [target(compare, 1, 1, logits)]]
        const f = (x: tf.Tensor) =>
          lossWithForeign(settingOf({ lambda: 0.5 }), x as tf.Tensor2D, next, undefined, 0, others).loss
        const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d(logits))
        expect([...(await values(value)), ...(await values(grad))].every(Number.isFinite)).toBe(true)
      }
    }
  })
})

function definition(changes: object = {}) {
  return {
    name: 'a',
    corpus: 'c',
    student: { width: 8, layers: 1, heads: 1 },
    teachers: ['x', 'y', 'z'],
    ...changes,
  }
}

describe('shares', () => {
  it('are equal, or the given weights; the rest weighs the fused target', () => {
    const taught = (places: number[], changes: object = {}) => ({
      experiment: parse(experiment, definition(changes)),
      foreign: places.map((place) => ({ place })) as RunConfig['foreign'],
    })
    expect(teacherShares(taught([1]))).toEqual({ own: 2 / 3, foreign: [1 / 3] })
    expect(teacherShares(taught([0, 1, 2])).own).toBe(0)
    const fixed = taught([1], { weighting: { strategy: 'fixed', weights: [1, 5, 2] } })
    expect(teacherShares(fixed)).toEqual({ own: 3 / 8, foreign: [5 / 8] })
    expect(ownWeighting(fixed).weights).toEqual([1, 2])
  })
})

describe('comparing rank by rank', () => {
  it.each([
    [37, 37],
    [300, 2100],
    [2100, 300],
  ])('vocabularies of %i and %i: what sorting says, ties and zeros among them', (vocab, other) => {
    const random = createRandom(5, 'ranks')
    const table = (size: number) =>
      Float32Array.from({ length: 4 * size }, (_, i) => {
        const kind = random.integer(5)
        return kind === 0 ? 0 : kind === 1 ? 0.25 : i % size === 7 ? 1 : random.next() ** 40
      })
    const [student, teacher] = [table(vocab), table(other)]
    const distances = new Float32Array(4)
    const signs = new Float32Array(4 * vocab).fill(9)
    const comparison = new RankComparison(vocab, other)
    comparison.compare({ student, teacher }, [1, 0, 2, 1], distances, signs)
    for (const row of [0, 1, 2, 3]) {
      const own = [...student.subarray(row * vocab, (row + 1) * vocab)]
      const theirs = [...teacher.subarray(row * other, (row + 1) * other)].sort((a, b) => b - a)
      const itsSigns = [...signs.subarray(row * vocab, (row + 1) * vocab)]
      if (row === 1) {
        expect(distances[row]).toBe(0)
        expect(new Set(itsSigns)).toEqual(new Set([0]))
        continue
      }
      const expected = sorted(own, theirs)
      expect(Math.abs(distances[row]! - expected)).toBeLessThan(1e-5 * expected)
      // Of tokens that are as likely as each other any may have either rank: their signs as a whole are told.
      const down = [...own].sort((a, b) => b - a)
      for (const value of new Set(own)) {
        const ranks = down.flatMap((q, rank) => (q === value ? [Math.sign(q - (theirs[rank] ?? 0))] : []))
        const found = itsSigns.filter((_, v) => own[v] === value)
        expect(found.sort()).toEqual(ranks.sort())
      }
    }
  })

  it('gives no number where the student has none', () => {
    const distances = new Float32Array(1)
    const tables = { student: Float32Array.of(NaN, NaN), teacher: Float32Array.of(0.5, 0.5) }
    new RankComparison(2, 2).compare(tables, [1], distances)
    expect(distances[0]).toBeNaN()
  })
})
