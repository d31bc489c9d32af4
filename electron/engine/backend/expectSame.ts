import { expect } from 'vitest'
import { startBackend } from '.'
import { tensor, type Operands, type Operation, type Row } from './kernels/cases/row'
import { tf } from './tf'

async function on<T>(backend: 'cpu' | 'onnx', work: () => Promise<T>): Promise<T> {
  await startBackend(backend, { threads: 1 })
  return work()
}

async function evaluate(backend: 'cpu' | 'onnx', operands: Operands, op: Operation) {
  return on(backend, async () => {
    const result = op(...operands.map(({ shape, data }) => tf.tensor(data, shape)))
    return { shape: result.shape, type: result.dtype, data: Array.from(await result.data()) }
  })
}

/** Gradients of the sum of squares of the result, which weighs every element differently. */
async function gradients(backend: 'cpu' | 'onnx', operands: Operands, op: Operation) {
  return on(backend, async () => {
    const inputs = operands.map(({ shape, data }) => tf.tensor(data, shape))
    const grads = tf.grads((...x) => tf.sum(tf.square(op(...x))) as tf.Scalar)(inputs)
    return Promise.all(grads.map(async (g) => ({ shape: g.shape, data: Array.from(await g.data()) })))
  })
}

function expectAlike(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) {
    if (!Number.isFinite(value)) expect(actual[i]).toBe(value)
    else expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(2e-5 * Math.max(1, Math.abs(value)))
  }
}

/** Values, shape, type and gradients of an operation on the onnx backend are those of tfjs's own cpu backend. */
export async function expectRow([, shapes, op, withGradient = false, range = [-2, 2]]: Row): Promise<void> {
  const operands = shapes.map((shape) => tensor(shape, ...range))
  const [actual, expected] = [await evaluate('onnx', operands, op), await evaluate('cpu', operands, op)]
  expect(actual.shape).toEqual(expected.shape)
  expect(actual.type).toBe(expected.type)
  expectAlike(actual.data, expected.data)
  if (!withGradient) return
  const [ours, theirs] = [await gradients('onnx', operands, op), await gradients('cpu', operands, op)]
  for (const [i, { shape, data }] of theirs.entries()) {
    expect(ours[i]!.shape).toEqual(shape)
    expectAlike(ours[i]!.data, data)
  }
}
