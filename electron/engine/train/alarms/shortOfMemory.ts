import { memoryWords, outOfMemory, type Alarm, type RunConfig } from '#contract'

/** @param said what the allocation that failed said of it */
export function shortOfMemory(config: RunConfig, step: number, said: string): Alarm {
  const residentMb = Math.round(process.memoryUsage.rss() / 2 ** 20)
  const message = `After step ${step} the run could not get the memory it asked for: ${memoryWords(said)}`
  return outOfMemory(config, { step, message, evidence: { residentMb } })
}
