import { describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { fitTemperature, type LikelihoodAt } from './temperature'

const random = createRandom(1, 'test-temperature')

/** Logits whose labels are drawn from softmax(z / trueTemperature). */
function sample(trueTemperature: number, tokens = 20000) {
  return Array.from({ length: tokens }, () => {
    const z = Array.from({ length: 4 }, () => 3 * random.normal())
    const p = softmax(z, 1 / trueTemperature)
    let [u, label] = [random.next(), 0]
    while (label < 3 && (u -= p[label]!) > 0) label++
    return { z, label }
  })
}

function softmax(z: number[], inverse: number): number[] {
  const e = z.map((x) => Math.exp((x - Math.max(...z)) * inverse))
  return e.map((x) => x / e.reduce((a, b) => a + b))
}

const likelihood = (rows: { z: number[]; label: number }[]) => (inverse: number) => {
  const total: LikelihoodAt = { nll: 0, slope: 0, curvature: 0 }
  for (const { z, label } of rows) {
    const q = softmax(z, inverse)
    const mean = q.reduce((s, x, v) => s + x * z[v]!, 0)
    total.nll -= Math.log(q[label]!) / rows.length
    total.slope += (mean - z[label]!) / rows.length
    total.curvature += q.reduce((s, x, v) => s + x * (z[v]! - mean) ** 2, 0) / rows.length
  }
  return Promise.resolve(total)
}

describe('a fitted temperature', () => {
  it('is the one that the labels were drawn at', async () => {
    for (const truth of [0.5, 1, 3]) {
      const { temperature, before, after } = await fitTemperature(likelihood(sample(truth)))
      expect(temperature / truth).toBeCloseTo(1, 1)
      expect(after).toBeLessThanOrEqual(before + 1e-9)
    }
  })

  it('is at the minimum: no temperature beside it is better', async () => {
    const at = likelihood(sample(2, 500))
    const { temperature, after } = await fitTemperature(at)
    for (const factor of [0.98, 1.02]) expect((await at(factor / temperature)).nll).toBeGreaterThan(after)
  })

  it('stays finite where there is no minimum: a teacher that is always right, or knows nothing', async () => {
    const right = Array.from({ length: 20 }, () => ({ z: [9, 0, 0, 0], label: 0 }))
    const sure = await fitTemperature(likelihood(right))
    expect(sure.temperature).toBeGreaterThanOrEqual(1 / 20)
    expect(sure.temperature).toBeLessThan(1)
    const flat = Array.from({ length: 20 }, (_, i) => ({ z: [0, 0, 0, 0], label: i % 4 }))
    expect(Number.isFinite((await fitTemperature(likelihood(flat))).temperature)).toBe(true)
    const wrong = Array.from({ length: 20 }, () => ({ z: [9, 0, 0, 0], label: 1 }))
    expect((await fitTemperature(likelihood(wrong))).temperature).toBeGreaterThan(5)
  })
})
