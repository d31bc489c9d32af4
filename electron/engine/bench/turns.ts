import type { CachedTeacher } from '../teachers/cache/cached'
import { median } from './models'

/** Milliseconds of each turn of each kind. */
export type Times<Kind extends string> = Record<Kind, number[]>

export const medians = <Kind extends string>(times: Times<Kind>) => mapTimes(times, median)

/** First and third quartile. */
export function quartiles<Kind extends string>(times: Times<Kind>): Record<Kind, [number, number]> {
  return mapTimes(times, (list) => {
    const sorted = [...list].sort((a, b) => a - b)
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!
    return [at(0.25), at(0.75)]
  })
}

function mapTimes<Kind extends string, T>(times: Times<Kind>, of: (list: number[]) => T): Record<Kind, T> {
  const entries = Object.entries<number[]>(times).map(([kind, list]) => [kind, of(list)])
  return Object.fromEntries(entries) as Record<Kind, T>
}

/** The same, begun at another one: what follows what is no advantage to any. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

/**
 * A teacher's pass into the cache that stops after so many batches and goes on at its next turn. The first batch of a
 * turn is not timed: the last one before it had all the others' turns to be written in.
 */
export class PassInTurns {
  private left = 0
  private fresh = true
  private started: number | undefined
  private filling: Promise<unknown> | undefined
  private goOn = () => {}
  private endTurn = () => {}

  /** @param times milliseconds of a batch go here, the writing of the one before in it */
  constructor(
    private readonly source: CachedTeacher,
    private readonly times: number[],
  ) {}

  async turn(batches: number): Promise<void> {
    this.left = batches
    this.fresh = true
    const ended = new Promise<void>((resolve) => (this.endTurn = resolve))
    if (this.filling) this.goOn()
    else
      this.filling = this.source
        .fill(
          () => this.next(),
          () => {},
        )
        .then(() => this.endTurn())
    await Promise.race([ended, this.filling])
  }

  private async next(): Promise<boolean> {
    if (this.started !== undefined) this.times.push(performance.now() - this.started)
    if (this.left === 0) {
      const waiting = new Promise<void>((resolve) => (this.goOn = resolve))
      this.endTurn()
      await waiting
    }
    this.started = this.fresh ? undefined : performance.now()
    this.fresh = false
    this.left--
    return true
  }
}
