import { defineStore } from 'pinia'
import { computed, reactive, ref, shallowReactive } from 'vue'
import type { Checkpoint, EvaluationRecord, LoggedEvent, RunRow } from '#contract'
import { call, onLost, onPush } from '../api/client'
import { createRows } from './rows'

/** What of a run's folder the page has fetched beside its curves. */
export interface RunData {
  evaluations: EvaluationRecord[]
  log: LoggedEvent[]
  checkpoints: Checkpoint[]
  /** Rises with every change: the page looks at this, not into the arrays. */
  version: number
}

export const useRuns = defineStore('runs', () => {
  const { rows, put, ...loader } = createRows<RunRow>(() => call('runs.list', {}))
  const data = reactive(new Map<string, RunData>())
  const selected = ref<string[]>([])

  /** Newest first. */
  const sorted = computed(() =>
    rows.value.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0)),
  )
  /** Those that are not archived. */
  const present = computed(() => sorted.value.filter(({ archivedAt }) => !archivedAt))
  const active = computed(() =>
    rows.value.filter(({ status }) => ['running', 'paused', 'queued'].includes(status)),
  )

  async function open(id: string): Promise<RunData> {
    const known = data.get(id)
    if (known) return known
    const [evaluations, log, checkpoints] = await Promise.all([
      call('runs.evaluations', { id }),
      call('runs.log', { id }),
      call('runs.checkpoints', { id }),
    ])
    const opened = shallowReactive<RunData>({ evaluations, log, checkpoints, version: 0 })
    data.set(id, opened)
    return data.get(id)!
  }

  /** What happened to a run is in its folder before its status says so. */
  async function refreshLog(id: string): Promise<void> {
    const [log, checkpoints] = await Promise.all([call('runs.log', { id }), call('runs.checkpoints', { id })])
    change(id, (d) => Object.assign(d, { log, checkpoints }))
  }

  function change(id: string, edit: (data: RunData) => void): void {
    const opened = data.get(id)
    if (!opened) return
    edit(opened)
    opened.version++
  }

  onPush((push) => {
    switch (push.topic) {
      case 'run':
        // A resumed run computes the steps after its checkpoint again: fetch what its folder says then.
        if (push.run.status === 'queued') data.delete(push.run.id)
        return put(push.run)
      case 'run-removed':
        rows.value = rows.value.filter(({ id }) => id !== push.id)
        selected.value = selected.value.filter((id) => id !== push.id)
        data.delete(push.id)
        return
      case 'steps': {
        const { step, loss, seconds, tokensPerSecond } = push.records.at(-1)!
        const row = rows.value.find(({ id }) => id === push.id)
        if (row) put({ ...row, step, last: { loss, seconds, tokensPerSecond } })
        return
      }
      case 'evaluation':
        return change(push.id, ({ evaluations }) => {
          if (!evaluations.some(({ step }) => step === push.record.step)) evaluations.push(push.record)
        })
      case 'log':
        return change(push.id, (d) => void (d.log = [...d.log, push.entry]))
      case 'checkpoint':
        return change(push.id, (d) => {
          const others = d.checkpoints.filter(({ step }) => step !== push.checkpoint.step)
          d.checkpoints = [...others, push.checkpoint]
        })
    }
  })
  onLost(() => data.clear())

  function toggle(id: string): void {
    selected.value = selected.value.includes(id)
      ? selected.value.filter((other) => other !== id)
      : [...selected.value, id]
  }

  return { rows, sorted, present, active, selected, data, ...loader, put, open, refreshLog, toggle }
})
