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
    const kept = sessionStorage.getItem(key)
    if (first && kept !== null) text.value = kept
  })
  watch([text, changed], () => {
    if (changed.value) sessionStorage.setItem(key, text.value)
    else if (base.value) sessionStorage.removeItem(key)
  })

  async function save(): Promise<ExperimentRow> {
    const saved = await call('experiments.save', { id, definition: text.value })
    base.value = saved
    experiments.put(saved)
    return saved
  }
  return { row, text, changed, revert, save, ...loader }
}
