import { expect, it } from 'vitest'
import type { RunRow } from '#contract'
import { moveTarget, waitingHere, whyWaiting } from './order'

const run = (id: string, place: number, more: Partial<RunRow> = {}) =>
  ({ id, place, priority: 0, status: 'queued', ...more }) as RunRow
const rows = [
  run('late', 3),
  run('urgent', 9, { priority: 1 }),
  run('early', 1),
  run('running', 0, { status: 'running' }),
  run('elsewhere', 0, { cluster: 'lab' }),
]

it('the queue is in the order in which it will start', () => {
  expect(waitingHere(rows).map(({ id }) => id)).toEqual(['urgent', 'early', 'late'])
})

it('moving names the run that comes after', () => {
  const order = waitingHere(rows)
  expect(moveTarget(order, 'late', -1)).toEqual({ before: 'early', place: 1 })
  expect(moveTarget(order, 'urgent', 1)).toEqual({ before: 'late', place: 1 })
  expect(moveTarget(order, 'urgent', 99)).toEqual({ before: undefined, place: 2 })
  expect(moveTarget(order, 'late', -99)).toEqual({ before: 'urgent', place: 0 })
  expect(moveTarget(order, 'late', 1)).toBeUndefined()
  expect(moveTarget(order, 'gone', 1)).toBeUndefined()
})

it('a crashed run says when it is tried again, how often more, and why', () => {
  const crashed = run('c', 1, { retries: 1, retryAt: '2026-01-01T00:00:40.000Z', reason: 'killed' })
  const at = Date.parse('2026-01-01T00:00:00.000Z')
  expect(whyWaiting(crashed, at)).toBe('next try in 40 s; 1 try left; killed')
  expect(whyWaiting(crashed, at + 41_000)).toBe('1 try left; killed')
  expect(whyWaiting(run('fresh', 2, { retries: 3 }), at)).toBe('')
})
