import { beforeEach, describe, expect, it } from 'vitest'
import { translate } from './translate'
import { startBackend } from '../../backend'
import { tf } from '../../backend/tf'
import { createRandom } from '../../random'
import { AdamW } from '.'
import bytes from './updateBytes'

/** Below, at and above what is copied at once, and not whole multiples of what is computed at once. */
const SHAPES: Record<string, number[]> = {
  one: [1],
  few: [3, 5],
  piece: [8192],
  more: [8193],
  matrix: [129, 131],
}
const SETTING = { betas: [0.9, 0.95] as [number, number], weightDecay: 0.1, clip: 1 }

function normals(name: string, shape: readonly number[]): Float32Array {
  const random = createRandom(5, name)
  return Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal())
}

/** A gradient by name; `few` has none at step 2. */
function gradientsAt(step: number): Map<string, tf.Tensor> {
  const names = Object.keys(SHAPES).filter((name) => step !== 2 || name !== 'few')
  return new Map(
    names.map((name) => [name, tf.tensor(normals(`${name} ${step}`, SHAPES[name]!), SHAPES[name]!)]),
  )
}

function parametersOf(): Map<string, tf.Variable> {
  return new Map(
    Object.entries(SHAPES).map(([name, shape]) => [
      name,
      tf.variable(tf.tensor(normals(name, shape), shape)),
    ]),
  )
}

async function valuesOf(variables: ReadonlyMap<string, tf.Variable>): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {}
  for (const [name, variable] of variables) values[name] = Array.from(await variable.data())
  return values
}

/** Three steps; the state before the last one is restored from copies, as a checkpoint's is. */
async function train(kind: 'cpu' | 'onnx', setting: typeof SETTING, restored = false) {
  await startBackend(kind, { threads: 1 })
  const parameters = parametersOf()
  const optimizer = new AdamW(parameters, setting)
  const norms: number[] = []
  for (const step of [1, 2, 3]) {
    if (restored && step === 3) {
      for (const variable of [...parameters.values(), ...optimizer.state().values()]) {
        variable.assign(tf.tensor(Float32Array.from((await variable.data()) as Float32Array), variable.shape))
      }
    }
    norms.push((await optimizer.step(() => ({ gradients: gradientsAt(step) }), step, 0.01)).norm)
  }
  const values = await valuesOf(new Map([...parameters, ...optimizer.state()]))
  optimizer.dispose()
  for (const parameter of parameters.values()) parameter.dispose()
  return { norms, values }
}

describe('AdamW in place', () => {
  beforeEach(() => startBackend('onnx', { threads: 1 }))

  it.each([
    ['with clipping', SETTING],
    ['without', { ...SETTING, clip: 0 }],
  ])('gives what the graph of the reference gives, %s', async (_, setting) => {
    const reference = await train('cpu', setting)
    const { norms, values } = await train('onnx', setting)
    for (const [i, norm] of norms.entries()) expect(norm / reference.norms[i]!).toBeCloseTo(1, 5)
    expect(Object.keys(values)).toEqual(Object.keys(reference.values))
    for (const [name, expected] of Object.entries(reference.values)) {
      const furthest = Math.max(...expected.map((value, i) => Math.abs(value - values[name]![i]!)))
      expect(furthest, name).toBeLessThan(2e-6)
    }
  })

  it('goes on from values that were assigned, bit for bit', async () => {
    expect(await train('onnx', SETTING, true)).toEqual(await train('onnx', SETTING))
  })

  it('is seen by what is computed next, and leaves the arrays that it began with alone', async () => {
    const first = Float32Array.from([1, -2])
    const weight = tf.variable(tf.tensor1d(first))
    const optimizer = new AdamW(new Map([['weight', weight]]), SETTING)
    const gradients = () => ({
      gradients: new Map([['weight', tf.mul(weight, 1)]]),
      metrics: tf.mul<tf.Tensor1D>(weight, 10),
    })
    const { metrics } = await optimizer.step(gradients, 1, 0.5)
    expect(Array.from(metrics)).toEqual([10, -20])
    const after = Array.from(await tf.mul(weight, 10).data())
    expect(after[0]).toBeCloseTo(5, 4)
    expect(after[1]).toBeCloseTo(-15, 4)
    expect(Array.from(first)).toEqual([1, -2])
  })

  it('is a faithful translation of its text', async () => {
    expect(bytes).toBe(await translate())
  })
})
