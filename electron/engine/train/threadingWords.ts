import type { Threading } from '../backend/session'

/** Seconds of a step; of shorter ones nobody minds how they are done. */
const WORTH_A_WORD = 0.05

const words: Record<Threading, string> = {
  single:
    'another program keeps a core busy: on with one thread, which is faster meanwhile (the same results)',
  waiting: 'another program keeps a core busy: the threads sleep while they wait, which is faster meanwhile',
  spinning: 'the cores are free again: on as before',
}

/** What a run's log says of how its steps share the cores with other programs. */
export class ThreadingWords {
  private told: Threading | undefined

  /**
   * What is new of it; undefined when nothing is.
   *
   * @param elapsed seconds of the step
   */
  word(found: Threading | undefined, elapsed: number): string | undefined {
    if (!found || found === this.told || elapsed <= WORTH_A_WORD) return undefined
    this.told = found
    return words[found]
  }
}
