import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { RunValue } from '#contract'
import { call, onLost, onPush } from '../api/client'

/** A burst of pushes is one question. */
const GATHER_MS = 300

/** Columns of runs that their list does not hold, fetched when they are first asked for and kept up with the runs. */
export const useRunValues = defineStore('run-values', () => {
  const columns = new Map<string, Map<string, RunValue>>()
  /** Rises with every change: whoever reads values looks at this. */
  const version = ref(0)
  const asked = new Set<string>()
  const changed = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined

  async function fetch(keys: string[], ids?: string[]): Promise<void> {
    try {
      const found = await call('runs.values', { keys, ids })
      for (const key of keys) {
        const column = columns.get(key) ?? new Map<string, RunValue>()
        found.ids.forEach((id, i) => column.set(id, found.values[key]![i]!))
        columns.set(key, column)
      }
      version.value++
    } catch {
      // A host that is gone for now: asked again when it is back.
      for (const key of keys) asked.delete(key)
    }
  }

  /** Fetches the columns that are not there yet. */
  function ensure(keys: readonly string[]): void {
    const missing = [...new Set(keys)].filter((key) => !asked.has(key))
    if (!missing.length) return
    for (const key of missing) asked.add(key)
    void fetch(missing)
  }

  onPush((push) => {
    if (push.topic !== 'run' || !asked.size) return
    changed.add(push.run.id)
    timer ??= setTimeout(() => {
      timer = undefined
      const ids = [...changed]
      changed.clear()
      void fetch([...asked], ids)
    }, GATHER_MS)
  })
  onLost(() => {
    const keys = [...asked]
    asked.clear()
    ensure(keys)
  })

  const of = (id: string, key: string): RunValue | undefined => columns.get(key)?.get(id)
  return { version, ensure, of }
})
