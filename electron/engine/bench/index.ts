import type { AnyBenchResult, Job } from '#contract'
import type { Progress } from '../progress'

/** What is timed, by its name. Each part loads only what it times. */
export async function benchPart(
  job: Extract<Job, { kind: 'bench' }>,
  progress: Progress,
): Promise<AnyBenchResult> {
  switch (job.part) {
    case 'step':
      return (await import('./step')).bench(job, progress)
    case 'teacher':
      return (await import('./teacher')).benchTeacher(job, progress)
    case 'generation':
      return (await import('./generation')).benchGeneration(job, progress)
    case 'grid':
      return (await import('./grid')).benchGrid(job, progress)
    case 'tokenizer':
      return (await import('./tokenizer')).benchTokenizer({ bytes: 10e6, vocab: 4096 }, progress)
  }
}
