import type { Job } from '#contract'

export type BenchJob = Extract<Job, { kind: 'bench' }>
/** Of a configuration that every part knows. */
export type SizedJob = BenchJob & { config: Exclude<BenchJob['config'], 'R'> }

export function sized(job: BenchJob): job is SizedJob {
  return job.config !== 'R'
}
