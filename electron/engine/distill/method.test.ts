import { beforeAll, describe, expect, it } from 'vitest'
import { loss as lossSchema, weighting as weightingSchema, weightingStrategies, type Loss } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { dropOutliers, gatedLambda } from './conflict'
import { attentionDistance } from './features'
import { tokenCrossEntropy } from './losses'
import { likeliest, tokenDivergence } from './studentDivergence'
import { fuseTeachers } from './teachers'
import { drawWeights } from './weighting'

const values = (t: tf.Tensor) => Array.from(t.dataSync())
const softmax = (z: number[], tau = 1) => {
  const e = z.map((x) => Math.exp((x - Math.max(...z)) / tau))
  return e.map((x) => x / e.reduce((a, b) => a + b))
}
const kl = (p: number[], q: number[]) => p.reduce((s, x, v) => s + (x > 0 ? x * Math.log(x / q[v]!) : 0), 0)
const rows = (seed: number, n: number, vocab: number) => {
  const random = createRandom(seed, 'test-logits')
  return Array.from({ length: n }, () => Array.from({ length: vocab }, () => random.normal() * 2))
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[i]!)),
    )
}

beforeAll(async () => {
  await startBackend('cpu', { threads: 1 })
})

// Two tokens, three teachers, four words.
const z = [rows(1, 2, 4), rows(2, 2, 4), rows(3, 2, 4)]
const labels = [2, 0]

function alphaOf(setting: object, logits = z, tau = 1): number[][] {
  const weighting = weightingSchema.parse(setting)
  const drawn = drawWeights(createRandom(1, 'weights'), weighting.granularity, 1, 2, logits.length)
  const { alpha } = fuseTeachers(
    weighting,
    tau,
    logits.map((l) => tf.tensor2d(l)),
    1,
    { labels: tf.tensor1d(labels, 'int32'), drawn: tf.tensor2d(drawn, [2, logits.length]) },
  )
  return (alpha.arraySync() as number[][]).map((row) => [...row])
}

/** CE_k of each token. */
const ce = [0, 1].map((i) => z.map((teacher) => -Math.log(softmax(teacher[i]!)[labels[i]!]!)))

describe('weights by hand', () => {
  it('fixed: the given ratios', () => {
    expectClose(alphaOf({ strategy: 'fixed', weights: [1, 1, 2] }).flat(), [0.25, 0.25, 0.5, 0.25, 0.25, 0.5])
    expect(() => weightingSchema.parse({ strategy: 'fixed' })).toThrow('needs a number for each teacher')
  })

  it('kl-to-consensus: softmax of minus the KL to the mean of the others', () => {
    const expected = [0, 1].flatMap((i) => {
      const p = z.map((teacher) => softmax(teacher[i]!, 2))
      const apart = p.map((own, k) => {
        const others = p.filter((_, j) => j !== k)
        return kl(
          own,
          own.map((_, v) => others.reduce((s, o) => s + o[v]!, 0) / others.length),
        )
      })
      return softmax(
        apart.map((d) => -d),
        0.5,
      )
    })
    expectClose(alphaOf({ strategy: 'kl-to-consensus', temperature: 0.5 }, z, 2).flat(), expected)
  })

  it('label-confidence: (1 - softmax(CE)) / (K - 1)', () => {
    const expected = ce.flatMap((row) => softmax(row).map((s) => (1 - s) / 2))
    expectClose(alphaOf({ strategy: 'label-confidence' }, z, 3).flat(), expected)
    expect(alphaOf({ strategy: 'label-confidence' }, [z[0]!])).toEqual([[1], [1]])
  })

  it('oracle: all on the lowest CE, shared by ties', () => {
    const expected = ce.flatMap((row) => row.map((x) => (x === Math.min(...row) ? 1 : 0)))
    expectClose(alphaOf({ strategy: 'oracle' }).flat(), expected)
    expectClose(alphaOf({ strategy: 'oracle' }, [z[0]!, z[0]!]).flat(), [0.5, 0.5, 0.5, 0.5])
  })

  it('oracle by batch: the mean CE decides for all tokens', () => {
    const means = [0, 1, 2].map((k) => ce[0]![k]! + ce[1]![k]!)
    const row = means.map((x) => (x === Math.min(...means) ? 1 : 0))
    expectClose(alphaOf({ strategy: 'oracle', granularity: 'batch' }).flat(), [...row, ...row])
  })

  it('random: drawn for each token, or one draw for the whole batch', () => {
    const [a, b] = alphaOf({ strategy: 'random' })
    expect(a).not.toEqual(b)
    const [c, d] = alphaOf({ strategy: 'random', granularity: 'batch' })
    expect(c).toEqual(d)
  })

  it('sum to one and are finite at any logits', () => {
    const extreme = [
      [
        [1e4, -1e4, 0, 0],
        [0, 0, 0, 0],
      ],
      [
        [-1e4, 1e4, 0, 0],
        [1e4, 1e4, 1e4, 1e4],
      ],
      [
        [0, 0, 1e4, -1e4],
        [-1e4, -1e4, -1e4, 1e4],
      ],
    ]
    for (const strategy of weightingStrategies) {
      for (const fusion of ['arithmetic', 'geometric']) {
        for (const row of alphaOf({ strategy, fusion, weights: [1, 2, 3], routes: { a: 'b' } }, extreme)) {
          expect(
            row.every((x) => Number.isFinite(x) && x >= 0),
            strategy,
          ).toBe(true)
          expect(
            row.reduce((x, y) => x + y),
            strategy,
          ).toBeCloseTo(1, 5)
        }
      }
    }
  })
})

describe('conflict', () => {
  it('gate: lambda falls to 0 where disagreement reaches log K', () => {
    const d = tf.tensor2d([[0], [Math.log(3) / 2], [Math.log(3)]])
    expectClose(values(gatedLambda(0.8, d, 3)), [0.8, 0.4, 0])
    expectClose(values(gatedLambda(0.8, tf.zeros([2, 1]), 1)), [0.8, 0.8])
  })

  it('drop: the weight of what is above the quantile goes to the others', () => {
    const alpha = tf.tensor2d([
      [0.5, 0.3, 0.2],
      [0.2, 0.2, 0.6],
    ])
    const apart = tf.tensor2d([
      [0.1, 5, 0.2],
      [4, 0.3, 0.1],
    ])
    // Half of the six divergences stay: the third largest, 0.3, is the limit.
    const dropped = values(dropOutliers(alpha, apart, 0.5))
    expectClose(dropped, [0.5 / 0.7, 0, 0.2 / 0.7, 0, 0.25, 0.75])
  })

  it('drop: a token whose teachers would all go keeps its weights', () => {
    const alpha = tf.tensor2d([
      [0.5, 0.5],
      [0.4, 0.6],
    ])
    const apart = tf.tensor2d([
      [0.1, 0.2],
      [8, 9],
    ])
    expectClose(values(dropOutliers(alpha, apart, 0.4)), [0.5, 0.5, 0.4, 0.6])
  })

  it('drop in the fused target leaves the teachers that agree', () => {
    const same = rows(5, 4, 6)
    const odd = same.map((row) => row.map((x) => -4 * x))
    const weighting = weightingSchema.parse({ strategy: 'uniform' })
    const logits = [same, same, odd].map((l) => tf.tensor2d(l))
    const conflict = lossSchema.parse({ conflict: 'drop', quantile: 0.6 })
    const kept = fuseTeachers(weighting, 1, logits, 1, { conflict })
    expectClose(values(kept.alpha), Array(4).fill([0.5, 0.5, 0]).flat())
    expectClose(
      values(kept.p),
      same.flatMap((row) => softmax(row)),
    )
    expect(values(kept.disagreement).every((d) => d > 0.01)).toBe(true)
  })
})

describe('objectives', () => {
  const student = rows(6, 3, 5)
  const target = rows(7, 3, 5).map((row) => softmax(row, 2))
  const setting = (changes: object): Loss =>
    lossSchema.parse({ tau: 2, topK: 2, beta: 0.3, skew: 0.2, ...changes })
  const q = student.map((row) => softmax(row, 2))
  const mixture = (i: number, share = 0.3) => target[i]!.map((p, v) => share * p + (1 - share) * q[i]![v]!)
  const truncated = target.map((row) => {
    const limit = [...row].sort((a, b) => b - a)[1]!
    const kept = row.map((p) => (p >= limit ? p : 0))
    return kept.map((p) => p / kept.reduce((a, b) => a + b))
  })
  const byHand: Record<Loss['objective'], (i: number) => number> = {
    'forward-kl': (i) => kl(target[i]!, q[i]!),
    'reverse-kl': (i) => kl(q[i]!, target[i]!),
    jsd: (i) => 0.3 * kl(target[i]!, mixture(i)) + 0.7 * kl(q[i]!, mixture(i)),
    'skewed-kl': (i) => kl(target[i]!, mixture(i, 0.2)),
    'skewed-reverse-kl': (i) => kl(q[i]!, mixture(i, 0.8)),
    'top-k': (i) => kl(truncated[i]!, q[i]!),
  }

  it.each(Object.keys(byHand) as Loss['objective'][])(
    '%s: tau^2 times its definition, with its gradient',
    (objective) => {
      const loss = setting({ objective })
      const f = (x: tf.Tensor2D) => tokenDivergence(loss, x, tf.tensor2d(target))
      expectClose(
        values(f(tf.tensor2d(student))),
        [0, 1, 2].map((i) => 4 * byHand[objective](i)),
      )
      const exact = tf.grad((x: tf.Tensor) => tf.sum(f(x as tf.Tensor2D)))(tf.tensor2d(student))
      const numeric = student.flatMap((row, i) =>
        row.map((_, j) => {
          const at = (delta: number) => {
            const moved = student.map((r) => [...r])
            moved[i]![j]! += delta
            return values(tf.sum(f(tf.tensor2d(moved))))[0]!
          }
          return (at(1e-2) - at(-1e-2)) / 2e-2
        }),
      )
      expectClose(values(exact), numeric, 3e-3)
    },
  )

  it('are 0 where the student is the teacher, and finite where both are certain of another word', () => {
    const same = rows(8, 2, 5)
    const p = tf.tensor2d(same.map((row) => softmax(row, 2)))
    for (const objective of Object.keys(byHand) as Loss['objective'][]) {
      expectClose(
        values(tokenDivergence(setting({ objective, topK: 5 }), tf.tensor2d(same), p)),
        [0, 0],
        1e-5,
      )
      const certain = tf.tensor2d([[1e4, -1e4, 0]])
      const f = (x: tf.Tensor) =>
        tokenDivergence(setting({ objective }), x as tf.Tensor2D, tf.tensor2d([[0, 1, 0]]))
      expect(values(f(certain)).every(Number.isFinite)).toBe(true)
      expect(values(tf.grad(f)(certain)).every(Number.isFinite)).toBe(true)
    }
  })

  it('top-k keeps the likeliest words and their ratios', () => {
    expectClose(values(likeliest(tf.tensor2d([[0.1, 0.5, 0.3, 0.1]]), 2)), [0, 0.625, 0.375, 0])
    expectClose(values(likeliest(tf.tensor2d([[0.4, 0.6]]), 9)), [0.4, 0.6])
  })

  it('cross-entropy token by token has the gradient q - onehot', () => {
    const x = tf.tensor2d(student)
    const truth = tf.tensor1d([4, 0, 2], 'int32')
    expectClose(
      values(tokenCrossEntropy(x, truth)),
      student.map((row, i) => -Math.log(softmax(row)[[4, 0, 2][i]!]!)),
    )
    const g = tf.grad((y: tf.Tensor) => tokenCrossEntropy(y as tf.Tensor2D, truth))(x)
    expectClose(
      values(g),
      student.flatMap((row, i) => softmax(row).map((p, v) => p - (v === [4, 0, 2][i] ? 1 : 0))),
    )
  })
})

describe('attention maps', () => {
  const map = (rows: number[][][]) => tf.tensor4d([rows])

  it('are compared head by head, or by their mean where the numbers of heads differ', () => {
    const a = [
      [1, 0],
      [0.5, 0.5],
    ]
    const b = [
      [1, 0],
      [0.1, 0.9],
    ]
    expectClose(values(attentionDistance('mse', map([a]), map([b]))), [(0.16 + 0.16) / 4])
    expectClose(values(attentionDistance('kl', map([a]), map([b]))), [kl(b[1]!, a[1]!) / 2])
    const mean = [
      [1, 0],
      [0.3, 0.7],
    ]
    expectClose(values(attentionDistance('mse', map([mean]), map([a, b]))), [0], 1e-6)
  })
})
