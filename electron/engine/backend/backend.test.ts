import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '.'
import { expectRow } from './expectSame'
import { basics } from './kernels/cases/basics'
import type { LazyBackend } from './lazyBackend'
import { ProtoWriter } from './protobuf'
import { tf } from './tf'

it.each(basics)('%s equals the reference', async (...row) => expectRow(row))

describe('the lazy backend', () => {
  beforeAll(() => startBackend('onnx', { threads: 1 }))
  afterEach(() => startBackend('onnx', { threads: 1 }))
  const backend = () => tf.backend() as unknown as LazyBackend

  it('compiles a structure once, whatever the numbers', async () => {
    const step = async (x: number[]) => tf.tidy(() => tf.sum(tf.exp(tf.mul(tf.tensor1d(x), 3)))).data()
    await step([1, 2])
    const { compiled } = backend().statistics
    const [again] = await step([0, 0])
    expect(again).toBe(2)
    expect(backend().statistics.compiled).toBe(compiled)
    await step([0, 0, 0])
    expect(backend().statistics.compiled).toBe(compiled + 1)
  })

  it('computes everything that lives in one run, and reads known data without any', async () => {
    const x = tf.tensor1d([1, 2])
    const [a, b] = [tf.add(x, 1), tf.mul(x, 10)]
    const { flushes } = backend().statistics
    expect(Array.from(await a.data())).toEqual([2, 3])
    expect(Array.from(await b.data())).toEqual([10, 20])
    expect(backend().statistics.flushes).toBe(flushes + 1)
  })

  it('says which operation waits when it is read without waiting', () => {
    expect(() => tf.add(tf.tensor1d([1]), 1).dataSync()).toThrow(/Add.*data\(\) is awaited/)
  })

  it('keeps no tensor of a step', async () => {
    const step = () => tf.tidy(() => tf.sum(tf.exp(tf.randomNormal([8])))).data()
    await step()
    const before = backend().numDataIds()
    for (let i = 0; i < 20; i++) await step().then(() => {})
    expect(backend().numDataIds() - before).toBeLessThanOrEqual(20)
  })
})

describe('protocol buffers', () => {
  it('are the bytes of the specification', () => {
    const proto = new ProtoWriter()
    proto.integer(1, 150)
    proto.string(2, 'testing')
    proto.message(3, () => proto.integer(1, 150))
    // The examples of the encoding guide, but that a length takes five bytes; and -1 as ten bytes of two's complement.
    proto.integer(4, -1)
    expect(Buffer.from(proto.finish()).toString('hex')).toBe(
      '089601' + '120774657374696e67' + '1a8380808000089601' + '20ffffffffffffffffff01',
    )
  })
})
