import { computed, ref, shallowRef, watch } from 'vue'
import { RetortError, type ExperimentRow } from '#contract'
import { call } from '../../api/client'
import { useExperiments } from '../../stores/library'
import { createLoader } from '../../stores/loader'

/**
 * The text of an experiment while it is edited. It begins as what the host has, which is asked for anew: a list that was
 * loaded before may not know a row that was made a moment ago. What is not saved outlives a reload of the page.
 */
export function useDraft(id: string) {
  const experiments = useExperiments()
  const row = computed(() => experiments.rows.find((one) => one.id === id))
  const text = ref('')
  /** The row that the text began from. */
  const base = shallowRef<ExperimentRow>()
  const changed = computed(() => base.value !== undefined && text.value !== base.value.definition)
  /** Somebody else has saved since the text began: saving it would undo that without a word. */
  const overtaken = computed(
    () => changed.value && row.value !== undefined && row.value.updatedAt !== base.value?.updatedAt,
  )

  /** Lets go of what was typed. */
  function revert(): void {
    base.value = row.value
    text.value = row.value?.definition ?? ''
  }
  // What was saved elsewhere is shown, unless it would take the place of what is being typed.
  watch(row, () => !changed.value && revert(), { flush: 'sync' })

  const key = `retort-draft ${id}`
  const loader = createLoader(async () => {
    const first = base.value === undefined
    try {
      experiments.put(await call('experiments.get', { id }))
    } catch (error) {
      // Nothing to show is a state of its own.
      if (!(error instanceof RetortError && error.code === 'not-found')) throw error
    }
    const kept = first ? keptDraft(key) : undefined
    if (!kept || !base.value) return
    text.value = kept.text
    if (kept.since !== base.value.updatedAt) base.value = { ...base.value, updatedAt: kept.since }
  })
  watch([text, changed], () => {
    if (changed.value && base.value) keepDraft(key, { text: text.value, since: base.value.updatedAt })
    else if (base.value) sessionStorage.removeItem(key)
  })

  /** @param over what somebody else has saved meanwhile, too */
  async function save({ over = false } = {}): Promise<ExperimentRow> {
    const since = over ? undefined : base.value?.updatedAt
    const saved = await call('experiments.save', { id, definition: text.value, since })
    base.value = saved
    experiments.put(saved)
    return saved
  }
  return { row, text, changed, overtaken, revert, save, ...loader }
}

/** What was typed, and the row that it began from. */
interface Kept {
  text: string
  since: string
}

function keptDraft(key: string): Kept | undefined {
  try {
    const { text, since } = JSON.parse(sessionStorage.getItem(key) ?? '') as Partial<Kept>
    return typeof text === 'string' && typeof since === 'string' ? { text, since } : undefined
  } catch {
    return undefined
  }
}

function keepDraft(key: string, draft: Kept): void {
  sessionStorage.setItem(key, JSON.stringify(draft))
}
