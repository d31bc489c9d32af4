import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import { evaluationValues, stepValues, type Curve, type Measured } from '#contract'
import { call, onLost, onPush } from '../api/client'

/** What of a run's curves the page has fetched, and what has come since. */
export interface DrawnCurves {
  readonly curves: Readonly<Record<string, Curve>>
  /** Rises with every change: charts look at this, not into the arrays. */
  version: number
  /** The keys that were asked for; absent: all. */
  readonly keys?: readonly string[]
}

/** Points of all curves of a quantity together, and of one: what a chart can show, and a host can send at once. */
const TOGETHER = 20_000
const [FEWEST, MOST] = [200, 2000]

export const useCurves = defineStore('curves', () => {
  const data = shallowReactive(new Map<string, DrawnCurves>())

  const has = (id: string, keys?: readonly string[]) => {
    const known = data.get(id)
    return known && (!known.keys || keys?.every((key) => known.keys!.includes(key)))
  }

  /** What comes of runs whose curves are being fetched: the answer may have been read before it. */
  const early = new Map<string, (() => void)[]>()

  /** Fetches the curves of runs that are not there yet, with fewer points each the more there are. */
  async function open(ids: readonly string[], keys?: readonly string[]): Promise<void> {
    const missing = ids.filter((id) => !has(id, keys))
    if (!missing.length) return
    const points = Math.max(FEWEST, Math.min(MOST, Math.floor(TOGETHER / ids.length)))
    for (const id of missing) early.set(id, [])
    try {
      const found = await call('runs.curves', { ids: missing, keys: keys && [...keys], points })
      for (const { id, curves } of found) {
        data.set(id, shallowReactive({ curves, version: 0, keys }))
        for (const append of early.get(id) ?? []) append()
      }
    } finally {
      for (const id of missing) early.delete(id)
    }
  }

  function append(id: string, step: number, values: Iterable<[key: string, value: Measured]>): void {
    const known = data.get(id)
    if (!known) return
    for (const [key, value] of values) {
      if (known.keys && !known.keys.includes(key)) continue
      const curve = (known.curves as Record<string, Curve>)[key] ?? { steps: [], values: [] }
      if (step <= (curve.steps.at(-1) ?? -1)) continue
      curve.steps.push(step)
      curve.values.push(value)
      ;(known.curves as Record<string, Curve>)[key] = curve
    }
    known.version++
  }

  function hear(id: string, step: number, values: () => Iterable<[key: string, value: Measured]>): void {
    early.get(id)?.push(() => append(id, step, values()))
    append(id, step, values())
  }

  onPush((push) => {
    if (push.topic === 'steps')
      for (const record of push.records) hear(push.id, record.step, () => stepValues(record))
    else if (push.topic === 'evaluation') hear(push.id, push.record.step, () => evaluationValues(push.record))
    // A resumed run computes the steps after its checkpoint again: fetch what its folder says then.
    else if (push.topic === 'run' && push.run.status === 'queued') data.delete(push.run.id)
    else if (push.topic === 'run-removed') data.delete(push.id)
  })
  onLost(() => data.clear())

  /** What there is of a run's curves; what watches it hears of every change, though the arrays grow in place. */
  function drawn(id: string): DrawnCurves['curves'] {
    const known = data.get(id)
    return known && known.version >= 0 ? { ...known.curves } : {}
  }

  return { data, open, drawn }
})
