import { createRandom } from '../../../random'
import { tf } from '../../tf'

export type Operands = { shape: number[]; data: number[] }[]
export type Operation = (...x: tf.Tensor[]) => tf.Tensor

/**
 * What is computed, the shapes of its operands, the operation, whether tfjs's cpu backend has a right gradient to
 * compare with, and what the operands lie between (-2 and 2).
 */
export type Row = [string, number[][], Operation, boolean?, [number, number]?]

const random = createRandom(1, 'backend.test')

/** An operand of numbers without ties, for kernels that order them. */
export function tensor(shape: number[], low = -2, high = 2): { shape: number[]; data: number[] } {
  const size = shape.reduce((a, b) => a * b, 1)
  return { shape, data: Array.from({ length: size }, () => low + (high - low) * random.next()) }
}

export const integers = (x: tf.Tensor, scale = 3) => tf.cast(tf.round(tf.mul(x, scale)), 'int32')
export const whole = (x: tf.Tensor) => tf.abs(integers(x))
export const image = (x: tf.Tensor) => x as tf.Tensor4D
