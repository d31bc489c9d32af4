import type { Run } from '#contract'

/** Seconds left of a run, from its own speed. */
export function secondsLeft({ status, step, steps, last }: Run): number | undefined {
  if (status !== 'running' || !last || !step) return undefined
  return ((steps - step) * last.seconds) / step
}
