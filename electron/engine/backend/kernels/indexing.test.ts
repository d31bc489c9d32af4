import { describe, expect, it } from 'vitest'
import { startBackend } from '..'
import { expectRow } from '../expectSame'
import { tf } from '../tf'
import { indexing } from './cases/indexing'
import type { Row } from './cases/row'

describe.each([['indices', indexing]] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (...row) => expectRow(row))
})

it('adds to rows that are named many times in the same order every time, whatever the threads', async () => {
  await startBackend('onnx', { threads: 2 })
  const [count, width, rows] = [4096, 96, 20]
  const ids = Int32Array.from({ length: count }, (_, i) => (i * i * 31 + i * 7) % rows)
  const updates = Float32Array.from({ length: count * width }, (_, i) => Math.sin(i * 0.37))
  const expected = new Float32Array(rows * width)
  for (const [i, update] of updates.entries()) {
    const at = ids[Math.floor(i / width)]! * width + (i % width)
    expected[at] = Math.fround(expected[at]! + update)
  }
  const [x, segments] = [tf.tensor2d(updates, [count, width]), tf.tensor1d(ids, 'int32')]
  for (let i = 0; i < 40; i++) {
    const sum = tf.unsortedSegmentSum(x, segments, rows)
    expect(Buffer.from((await sum.data()).buffer).equals(Buffer.from(expected.buffer))).toBe(true)
    sum.dispose()
  }
})
