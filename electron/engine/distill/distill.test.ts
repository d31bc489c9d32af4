/* eslint-disable max-lines -- the equations of METHOD.md, one after the other */
import { beforeAll, describe, expect, it } from 'vitest'
import { loss as lossSchema, type Weighting } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { disagreement, entropy, entropyOfProbabilities, logProbabilities } from './divergence'
import { betas, featureLoss, layerPairs } from './features'
import { fuse } from './fusion'
import { crossEntropy, distillationLoss, mixedLoss, softCrossEntropy } from './losses'
import { fuseTeachers, objective } from './objective'
import { weigh, type TeacherEvidence } from './weighting'

const weighting: Weighting = {
  strategy: 'entropy',
  granularity: 'token',
  temperature: 1,
  fusion: 'arithmetic',
}
const model = {
  family: 'llama',
  vocab: 8,
  width: 4,
  heads: 2,
  kvHeads: 2,
  hidden: 8,
  context: 8,
  tied: true,
} as const
const shape = { ...model, ropeBase: 10000, normEpsilon: 1e-5 }

/** Plain float64 arithmetic, row by row: what the tensors are checked against. */
const oracle = {
  softmax(z: number[], tau = 1): number[] {
    const max = Math.max(...z)
    const e = z.map((x) => Math.exp((x - max) / tau))
    const sum = e.reduce((a, b) => a + b)
    return e.map((x) => x / sum)
  },
  entropy: (p: number[]) => -p.reduce((s, x) => s + (x > 0 ? x * Math.log(x) : 0), 0),
  kl: (p: number[], q: number[]) => p.reduce((s, x, v) => s + (x > 0 ? x * Math.log(x / q[v]!) : 0), 0),
  mean: (values: number[]) => values.reduce((a, b) => a + b) / values.length,
}

const unasked = (): never => {
  throw new Error('not asked for')
}
/** Entropies alone: the other evidence must not be touched. */
const evidence = (h: number[][]): TeacherEvidence => ({
  entropies: tf.tensor2d(h),
  toConsensus: unasked,
  labelLoss: unasked,
  drawn: unasked,
})

function logits(seed: number, rows: number, vocab: number, scale = 2): number[][] {
  const random = createRandom(seed, 'test-logits')
  return Array.from({ length: rows }, () => Array.from({ length: vocab }, () => random.normal() * scale))
}

const values = (t: tf.Tensor) => Array.from(t.dataSync())

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[i]!)),
    )
  }
}

/** Central differences of a scalar function of a matrix. */
function numericGradient(f: (x: tf.Tensor2D) => tf.Scalar, x: number[][], h: number): number[] {
  const gradient: number[] = []
  for (const [i, row] of x.entries()) {
    for (const j of row.keys()) {
      const at = (delta: number) => {
        const moved = x.map((r) => [...r])
        moved[i]![j]! += delta
        return f(tf.tensor2d(moved)).dataSync()[0]!
      }
      gradient.push((at(h) - at(-h)) / (2 * h))
    }
  }
  return gradient
}

beforeAll(async () => {
  await startBackend('cpu', { threads: 1 })
})

describe('entropy and divergence', () => {
  it('equals the definition at several temperatures', () => {
    const z = logits(1, 5, 7)
    for (const tau of [0.5, 1, 3]) {
      const expected = z.map((row) => oracle.entropy(oracle.softmax(row, tau)))
      expectClose(values(entropy(logProbabilities(tf.tensor2d(z), tau))), expected)
      expectClose(values(entropyOfProbabilities(tf.exp(logProbabilities(tf.tensor2d(z), tau)))), expected)
    }
  })

  it('is exact at the ends: log V for equal logits, 0 for a certain teacher', () => {
    expectClose(values(entropy(logProbabilities(tf.zeros([1, 16]), 1))), [Math.log(16)])
    expectClose(values(entropy(logProbabilities(tf.tensor2d([[1e4, 0, -1e4]]), 1))), [0])
  })

  it('of contradicting certain teachers is log K, of equal teachers 0', () => {
    const certain = [tf.tensor2d([[1e4, 0, 0]]), tf.tensor2d([[0, 1e4, 0]]), tf.tensor2d([[0, 0, 1e4]])]
    expectClose(values(fuseTeachers(weighting, 1, certain, 1).disagreement), [Math.log(3)])
    const same = tf.tensor2d(logits(2, 1, 9))
    expectClose(values(fuseTeachers(weighting, 1, [same, same], 1).disagreement), [0], 1e-6)
    const none = disagreement(tf.tensor2d([[0.5]]), tf.tensor2d([[1]]), tf.tensor2d([[0.5 + 1e-7]]))
    expect(values(none)[0]).toBeGreaterThanOrEqual(0)
  })
})

describe('teacher weights', () => {
  // Two tokens, three teachers.
  const h = [
    [0.2, 1.5, 3],
    [2, 2, 0.1],
  ]

  it('are equal under uniform', () => {
    expectClose(values(weigh({ ...weighting, strategy: 'uniform' }, evidence(h), 1)), Array(6).fill(1 / 3))
  })

  it('are the softmax of minus entropy over T_w: the surer, the heavier', () => {
    for (const temperature of [0.25, 1, 4]) {
      const expected = h.flatMap((row) =>
        oracle.softmax(
          row.map((x) => -x),
          temperature,
        ),
      )
      expectClose(values(weigh({ ...weighting, temperature }, evidence(h), 1)), expected)
    }
  })

  it('are the normalised inverse entropies, finite for a certain teacher', () => {
    const expected = h.flatMap((row) => {
      const inverse = row.map((x) => 1 / (x + 1e-6))
      return inverse.map((x) => x / inverse.reduce((a, b) => a + b))
    })
    const setting: Weighting = { ...weighting, strategy: 'inverse-entropy' }
    expectClose(values(weigh(setting, evidence(h), 1)), expected)
    expectClose(values(weigh(setting, evidence([[0, 0]]), 1)), [0.5, 0.5])
  })

  it('are shared by the tokens of a sequence, or of the batch', () => {
    const four = [...h, [0, 0, 0], [1, 1, 1]]
    const mean = (rows: number[][]) => rows[0]!.map((_, k) => oracle.mean(rows.map((r) => r[k]!)))
    const alpha = (rows: number[][]) => oracle.softmax(mean(rows).map((x) => -x))
    const sequence = weigh({ ...weighting, granularity: 'sequence' }, evidence(four), 2)
    const first = alpha(four.slice(0, 2))
    const second = alpha(four.slice(2))
    expectClose(values(sequence), [...first, ...first, ...second, ...second])
    const batch = weigh({ ...weighting, granularity: 'batch' }, evidence(four), 2)
    expectClose(values(batch), Array(4).fill(alpha(four)).flat())
  })
})

describe('the fused target', () => {
  const a = logits(3, 4, 6)
  const b = logits(4, 4, 6)
  const alpha = [
    [0.9, 0.1],
    [0.5, 0.5],
    [0, 1],
    [0.3, 0.7],
  ]
  const logP = () => [a, b].map((z) => logProbabilities(tf.tensor2d(z), 1))

  it('is the weighted sum of the distributions', () => {
    const expected = a.flatMap((_, i) => {
      const [p, q] = [oracle.softmax(a[i]!), oracle.softmax(b[i]!)]
      return p.map((x, v) => alpha[i]![0]! * x + alpha[i]![1]! * q[v]!)
    })
    expectClose(values(fuse('arithmetic', logP(), tf.tensor2d(alpha))), expected)
  })

  it('is the normalised weighted product when geometric', () => {
    const expected = a.flatMap((_, i) =>
      oracle.softmax(
        a[i]!.map((_, v) => {
          const logs = [a, b].map((z) => Math.log(oracle.softmax(z[i]!)[v]!))
          return alpha[i]![0]! * logs[0]! + alpha[i]![1]! * logs[1]!
        }),
      ),
    )
    expectClose(values(fuse('geometric', logP(), tf.tensor2d(alpha))), expected)
  })

  it('does not depend on the order of the teachers, and K copies of one teacher are that teacher', () => {
    const forth = fuseTeachers(weighting, 2, [tf.tensor2d(a), tf.tensor2d(b)], 1)
    const back = fuseTeachers(weighting, 2, [tf.tensor2d(b), tf.tensor2d(a)], 1)
    expectClose(values(forth.p), values(back.p), 1e-6)
    for (const strategy of ['uniform', 'entropy', 'inverse-entropy'] as const) {
      const z = tf.tensor2d(a)
      const copies = fuseTeachers({ ...weighting, strategy }, 2, [z, z, z], 1)
      expectClose(
        values(copies.p),
        a.flatMap((row) => oracle.softmax(row, 2)),
        1e-6,
      )
    }
  })
})

describe('losses', () => {
  const student = logits(5, 4, 6)
  const teacher = logits(6, 4, 6).map((row) => oracle.softmax(row, 2))
  const labels = [1, 0, 5, 3]

  it('L_KD is tau^2 times the mean KL', () => {
    for (const tau of [1, 2, 5]) {
      const expected =
        tau * tau * oracle.mean(student.map((z, i) => oracle.kl(teacher[i]!, oracle.softmax(z, tau))))
      expectClose(values(distillationLoss(tf.tensor2d(student), tf.tensor2d(teacher), tau)), [expected])
    }
    const self = student.map((row) => oracle.softmax(row, 3))
    expectClose(values(distillationLoss(tf.tensor2d(student), tf.tensor2d(self), 3)), [0], 1e-5)
  })

  it('L_CE is the mean negative log-probability of the label', () => {
    const expected = oracle.mean(student.map((z, i) => -Math.log(oracle.softmax(z)[labels[i]!]!)))
    expectClose(values(crossEntropy(tf.tensor2d(student), tf.tensor1d(labels, 'int32'))), [expected])
  })

  it('have the gradients of finite differences', () => {
    const p = tf.tensor2d(teacher)
    const own = tf.mean<tf.Scalar>(entropyOfProbabilities(p))
    const truth = tf.tensor1d(labels, 'int32')
    const kd = (z: tf.Tensor2D) => distillationLoss(z, p, 2)
    const ce = (z: tf.Tensor2D) => crossEntropy(z, truth)
    const mixed = (tau: number) => (z: tf.Tensor2D) => mixedLoss(z, truth, p, own, { lambda: 0.7, tau }).loss
    for (const f of [kd, ce, mixed(1), mixed(2)]) {
      const exact = values(tf.grad((z: tf.Tensor) => f(z as tf.Tensor2D))(tf.tensor2d(student)))
      expectClose(exact, numericGradient(f, student, 1e-2), 2e-3)
    }
  })

  it('and gradients stay finite and right at logits of 1e4', () => {
    const extreme = tf.tensor2d([[1e4, -1e4, 0]])
    const p = tf.tensor2d([[0, 1, 0]])
    expectClose(values(softCrossEntropy(extreme, p, 1)), [2e4])
    expectClose(
      values(tf.grad((z: tf.Tensor) => softCrossEntropy(z as tf.Tensor2D, p, 1))(extreme)),
      [1, -1, 0],
    )
    expectClose(values(crossEntropy(extreme, tf.tensor1d([1], 'int32'))), [2e4])
    const target = fuseTeachers(weighting, 1, [extreme, tf.neg(extreme)], 1)
    expect(values(target.p).every(Number.isFinite)).toBe(true)
    expectClose(values(target.p), [0.5, 0.5, 0])
    expect(values(distillationLoss(extreme, target.p, 1)).every(Number.isFinite)).toBe(true)
  })
})

describe('feature alignment', () => {
  it('maps the last layers, every layer by relative depth, or the pairs it is given', () => {
    const student = { ...shape, layers: 2 }
    const teacher = { ...shape, layers: 6 }
    expect(layerPairs({ layers: 'last' }, student, teacher)).toEqual([{ student: 2, teacher: 6 }])
    expect(layerPairs({ layers: 'uniform' }, student, teacher)).toEqual([
      { student: 1, teacher: 3 },
      { student: 2, teacher: 6 },
    ])
    expect(() => layerPairs({ layers: [{ student: 3, teacher: 1 }] }, student, teacher)).toThrow(
      'loss.features.layers.0.student: there is no layer 3; expected 0 (the embedding) to 2',
    )
    expect(() => betas([1, 2], 3)).toThrow('loss.features.beta: 2 values for 3 teachers')
  })

  it('is the weighted sum of the mean squared errors of the projected student', () => {
    const h = [[1, 2]]
    const first = { beta: 1, pairs: [{ student: 0, teacher: 0 }], hidden: [tf.tensor2d([[5, 1, 0]])] }
    const second = { beta: 0.5, pairs: [{ student: 0, teacher: 0 }], hidden: [tf.tensor2d([[1]])] }
    // W h = (3, 2, 1) for the first teacher, (4) for the second.
    const w1 = [
      tf.tensor2d([
        [1, 1],
        [0, 1],
        [1, 0],
      ]),
    ]
    const w2 = [tf.tensor2d([[2, 1]])]
    const loss = featureLoss({ distance: 'mse' }, { hidden: [tf.tensor2d(h)] }, [
      { ...first, projections: w1 },
      { ...second, projections: w2 },
    ])
    expectClose(values(loss), [(4 + 1 + 1) / 3 + 0.5 * 9])
    const cosine = featureLoss({ distance: 'cosine' }, { hidden: [tf.tensor2d(h)] }, [
      { ...first, projections: w1 },
    ])
    expectClose(values(cosine), [1 - (15 + 2) / Math.sqrt(14 * 26)])
  })
})

describe('the objective', () => {
  const student = { logits: logits(7, 4, 6), hidden: logits(8, 4, 3) }
  const teachers = [9, 10].map((seed) => ({ logits: logits(seed, 4, 6), hidden: logits(seed + 10, 4, 5) }))
  const labels = tf.tensor1d([0, 1, 2, 3], 'int32')
  const features = { gamma: 0.25, beta: 1, layers: 'last', distance: 'mse' } as const

  function evaluate(lambda: number, gamma: number, count = 2) {
    const loss = lossSchema.parse({ lambda, tau: 2, features: { ...features, gamma } })
    const signals = teachers
      .slice(0, count)
      .map((t) => ({ logits: tf.tensor2d(t.logits), hidden: [tf.tensor2d(t.hidden)] }))
    const target = count
      ? fuseTeachers(
          weighting,
          2,
          signals.map((s) => s.logits),
          1,
        )
      : undefined
    const alignments = signals.map(() => ({
      beta: 1,
      pairs: [{ student: 0, teacher: 0 }],
      projections: [tf.ones([5, 3]) as tf.Tensor2D],
    }))
    const output = { logits: tf.tensor2d(student.logits), hidden: [tf.tensor2d(student.hidden)] }
    return objective({ loss }, output, labels, target, signals, alignments)
  }

  it('is lambda L_KD + (1 - lambda) L_CE + gamma L_feat', () => {
    const o = evaluate(0.7, 0.25)
    const [kd, ce, feat] = [o.kd!, o.ce, o.features!].map((t) => values(t)[0]!)
    expect(feat).toBeGreaterThan(0)
    expectClose(values(o.loss), [0.7 * kd! + 0.3 * ce! + 0.25 * feat!])
  })

  it('is cross-entropy alone at lambda 0 without features, and without teachers', () => {
    expectClose(values(evaluate(0, 0).loss), values(crossEntropy(tf.tensor2d(student.logits), labels)), 1e-6)
    expectClose(
      values(evaluate(0.7, 0.25, 0).loss),
      values(crossEntropy(tf.tensor2d(student.logits), labels)),
      1e-6,
    )
  })

  it('with one teacher is plain distillation from it', () => {
    const p = teachers[0]!.logits.map((row) => oracle.softmax(row, 2))
    const expected = 4 * oracle.mean(student.logits.map((z, i) => oracle.kl(p[i]!, oracle.softmax(z, 2))))
    expectClose(values(evaluate(1, 0, 1).loss), [expected], 1e-5)
  })
})
