/** Tells how far a job is: a short phase name, 0..1 of the whole job, and the seconds left where they can be told. */
export type Progress = (phase: string, fraction: number, secondsLeft?: number) => void

/** Progress that is a part, from `start` to `end`, of a larger job. */
export function partOf(progress: Progress, start: number, end: number): Progress {
  return (phase, fraction) => progress(phase, start + (end - start) * fraction)
}
