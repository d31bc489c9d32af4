import { shallowRef, type Ref } from 'vue'
import type { Push } from '#contract'
import { onPush } from '../api/client'
import { createLoader, type Loader } from './loader'

type Noun = Extract<Push, { topic: 'library' }>['noun']

export interface Rows<T> extends Loader {
  rows: Ref<T[]>
  /** Puts a row in its place, or at the end: one that a call has answered, before the list is fetched anew. */
  put(row: T): void
}

/** The rows that a host lists, fetched anew when it says that the list of that noun has changed. */
export function createRows<T extends { id: string }>(fetch: () => Promise<T[]>, noun?: Noun): Rows<T> {
  // Rows are replaced and never changed: thousands of them are not watched one by one.
  const rows = shallowRef<T[]>([])
  const loader = createLoader(async () => {
    rows.value = await fetch()
  })
  if (noun) {
    onPush((push) => {
      if (push.topic === 'library' && push.noun === noun) void loader.load()
    })
  }
  function put(row: T): void {
    const at = rows.value.findIndex(({ id }) => id === row.id)
    rows.value = at < 0 ? [...rows.value, row] : rows.value.toSpliced(at, 1, row)
  }
  return { rows, ...loader, put }
}
