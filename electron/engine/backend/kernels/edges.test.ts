import { expect, it } from 'vitest'
import { startBackend } from '..'
import { edges, type Case } from './cases/edges'
import { right } from './cases/right'

interface Found {
  shape: number[]
  type: string
  data: number[]
}

async function results(backend: 'cpu' | 'onnx', op: Case[1]): Promise<Found[]> {
  await startBackend(backend, { threads: 1 })
  const found = [op()].flat()
  return Promise.all(
    found.map(async (t) => ({ shape: t.shape, type: t.dtype, data: Array.from(await t.data()) })),
  )
}

it.each(edges)('%s', async (_, op) => {
  const [ours, theirs] = [await results('onnx', op), await results('cpu', op)]
  expect(ours.map(({ shape, type }) => ({ shape, type }))).toEqual(
    theirs.map(({ shape, type }) => ({ shape, type })),
  )
  for (const [i, { data }] of theirs.entries()) {
    for (const [j, value] of data.entries()) {
      const own = ours[i]!.data[j]!
      if (Number.isFinite(value))
        expect(Math.abs(own - value)).toBeLessThanOrEqual(2e-5 * Math.max(1, Math.abs(value)))
      else expect(own).toBe(value)
    }
  }
})

it.each(right)('%s, where tfjs itself is wrong', async (_, op, expected) => {
  await startBackend('onnx', { threads: 1 })
  const data = Array.from(await op().data())
  expect(data.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) {
    if (Number.isFinite(value))
      expect(Math.abs(data[i]! - value)).toBeLessThanOrEqual(1e-12 + 1e-6 * Math.abs(value))
    else expect(data[i]).toBe(value)
  }
})
