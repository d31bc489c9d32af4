import type { RunRow } from '#contract'
import { duration } from '../../ui/format'

/** Runs that wait on this machine, the next one first: highest priority, then lowest place. */
export function waitingHere(runs: readonly RunRow[]): RunRow[] {
  return runs
    .filter(({ status, cluster }) => status === 'queued' && cluster === undefined)
    .sort((a, b) => b.priority - a.priority || a.place - b.place)
}

/**
 * Before which run one has to be put to move by `steps` places (down is positive); `undefined` is the end.
 *
 * @returns nothing when it cannot move that way
 */
export function moveTarget(
  order: readonly RunRow[],
  id: string,
  steps: number,
): { before: string | undefined; place: number } | undefined {
  const from = order.findIndex((run) => run.id === id)
  const place = Math.min(order.length - 1, Math.max(0, from + steps))
  if (from < 0 || place === from) return undefined
  const others = order.filter((run) => run.id !== id)
  return { before: others[place]?.id, place }
}

/**
 * Why a run waits: of one whose worker crashed when it is tried again, how often more, and what had happened.
 *
 * @param now in ms
 */
export function whyWaiting({ reason, retries, retryAt }: RunRow, now: number): string {
  const left = retryAt === undefined ? 0 : (Date.parse(retryAt) - now) / 1000
  const next = left > 0 ? `next try in ${duration(Math.ceil(left))}` : ''
  const tries = reason && retries ? `${retries} ${retries === 1 ? 'try' : 'tries'} left` : ''
  return [next, tries, reason].filter(Boolean).join('; ')
}
