import type { RunRow } from '#contract'

/** Seconds left of a run, from its own speed. */
export function secondsLeft({ status, step, steps, last }: RunRow): number | undefined {
  if (status !== 'running' || !last || !step) return undefined
  return ((steps - step) * last.seconds) / step
}
