import { setFlagsFromString } from 'node:v8'

/** How far beyond what is alive the old generation may grow before it is collected, in percent. */
const GROWTH = 20

/**
 * Holds V8's heap close to what is alive. Every step leaves garbage, some of which has become old by the time the next
 * young collection comes; by V8's own measure, which trades memory for time up to a factor of four, it would lie about
 * for hundreds of steps and the process would seem to leak.
 */
export function holdHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`)
}

/** Most resident memory that this process has had, in MiB: `maxRSS` is in kilobytes on every platform. */
export function peakMemoryMb(): number {
  return process.resourceUsage().maxRSS / 1024
}
