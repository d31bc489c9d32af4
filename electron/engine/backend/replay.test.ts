import { beforeAll, describe, expect, it } from 'vitest'
import { restBackend, startBackend } from '.'
import type { LazyBackend } from './lazyBackend'
import { Replay } from './replay'
import { tf } from './tf'

const backend = () => tf.backend() as LazyBackend
const replayed = () => backend().statistics.replayed

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

const drawn = (step: number) => Float32Array.from({ length: 6 }, (_, i) => Math.sin(step * 7 + i))

/** What `of` makes of each step's array, step by step; [value per step]. */
async function steps(
  count: number,
  arrayOf: (step: number) => Float32Array,
  of: (x: tf.Tensor1D, step: number) => tf.Tensor,
) {
  const replay = new Replay(backend())
  const values: number[][] = []
  for (let step = 1; step <= count; step++) {
    const array = arrayOf(step)
    const compute = () => new Map([['y', of(tf.tensor1d(array), step)]])
    const results = await replay.run({ key: '', arrays: [array], compute })
    values.push(Array.from(await results.get('y')!.data()))
    tf.dispose([...results.values()])
  }
  return values
}

const doubled = (x: Float32Array) => Array.from(x, (value) => Math.fround(value * 2))

describe('a computation that comes again', () => {
  it('is recorded twice and then run with other data', async () => {
    const before = replayed()
    let recorded = 0
    const values = await steps(6, drawn, (x) => {
      recorded++
      return tf.mul(x, 2)
    })
    expect(values).toEqual([1, 2, 3, 4, 5, 6].map((step) => doubled(drawn(step))))
    expect([recorded, replayed() - before]).toEqual([2, 4])
  })

  it('is the same after its memory was given back: recorded anew, then run with other data', async () => {
    const replay = new Replay(backend())
    const step = async (i: number) => {
      const array = drawn(i)
      const compute = () => new Map([['y', tf.mul(tf.tensor1d(array), 2)]])
      const results = await replay.run({ key: '', arrays: [array], compute })
      const values = Array.from(await results.get('y')!.data())
      tf.dispose([...results.values()])
      return values
    }
    const kept = tf.mul(tf.tensor1d([1, 2]), 3)
    await kept.data()
    for (let i = 1; i <= 9; i++) {
      if (i % 4 === 0) {
        await restBackend()
        expect(backend().compiled.size).toBe(0)
      }
      expect(await step(i)).toEqual(doubled(drawn(i)))
    }
    expect(Array.from(await kept.data())).toEqual([3, 6])
  })

  it('finds the parts of its array that it takes', async () => {
    const replay = new Replay(backend())
    for (let step = 1; step <= 4; step++) {
      const array = drawn(step)
      const compute = () => new Map([['y', tf.neg(tf.tensor1d(array.subarray(2, 5)))]])
      const results = await replay.run({ key: '', arrays: [array], compute })
      expect(Array.from(await results.get('y')!.data())).toEqual(Array.from(array.subarray(2, 5), (x) => -x))
    }
  })

  it('is recorded each time if it depends on something else', async () => {
    const before = replayed()
    const values = await steps(5, drawn, (x, step) => tf.mul(x, step % 3))
    expect(values).toEqual(
      [1, 2, 3, 4, 5].map((step) => Array.from(drawn(step), (x) => Math.fround(x * (step % 3)))),
    )
    expect(replayed()).toBe(before)
  })

  it('is recorded while its arrays are the same: what was made of them would be too', async () => {
    const arrayOf = (step: number) => drawn(step < 4 ? 1 : step)
    const sumOf = (array: Float32Array) => array.reduce((a, b) => Math.fround(a + b))
    // The sum is made on the host: nobody sees that it comes from the array.
    const values = await steps(7, arrayOf, (x, step) => tf.add(tf.mul(x, 0), sumOf(arrayOf(step))))
    for (const [i, row] of values.entries()) expect(row[0]).toBe(sumOf(arrayOf(i + 1)))
  })

  it('reads a weight as it is now, and is recorded anew when another took its place', async () => {
    const ones = tf.tensor1d([1, 1, 1, 1, 1, 1])
    const weight = tf.variable(ones)
    const before = replayed()
    const replay = new Replay(backend())
    for (let step = 1; step <= 6; step++) {
      const array = drawn(step)
      const compute = () => new Map([['y', tf.mul(tf.tensor1d(array), weight)]])
      const results = await replay.run({ key: '', arrays: [array], compute })
      const factor = step > 4 ? 3 : 1
      expect(Array.from(await results.get('y')!.data())).toEqual(
        Array.from(array, (x) => Math.fround(x * factor)),
      )
      if (step === 4) weight.assign(tf.tensor1d([3, 3, 3, 3, 3, 3]))
    }
    // Though the first weights are still there.
    expect(Array.from(await ones.data())).toEqual([1, 1, 1, 1, 1, 1])
    expect(replayed() - before).toBe(2)
  })

  it('adds rows where the step has them', async () => {
    const replay = new Replay(backend())
    const before = replayed()
    for (let step = 1; step <= 5; step++) {
      const ids = Int32Array.of(step % 3, 2, step % 2)
      const compute = () => {
        const table = tf.mul(tf.ones([3, 2]), 10)
        const rows = tf.mul(tf.ones([3, 2]), 1)
        return new Map([['y', tf.add(table, tf.unsortedSegmentSum(rows, tf.tensor1d(ids, 'int32'), 3))]])
      }
      const results = await replay.run({ key: '', arrays: [ids], compute })
      const expected = [10, 10, 10, 10, 10, 10]
      for (const id of ids) for (const j of [0, 1]) expected[id * 2 + j]! += 1
      expect(Array.from(await results.get('y')!.data())).toEqual(expected)
    }
    expect(replayed() - before).toBe(3)
  })
})
