import { ref, watch, type Ref } from 'vue'

/** Of typing, in milliseconds: a definition that has not changed for so long is looked at. */
const PAUSE = 150

/**
 * What the host says of a definition while it is typed.
 *
 * @param ask what it says; undefined where there is nothing to ask
 * @returns `checked`, of the text as it is, as far as it has been asked; `check` asks now
 */
export function useChecked<T>(text: Ref<string>, ask: (definition: string) => Promise<T | undefined>) {
  const checked = ref<T>()
  async function check(): Promise<void> {
    const definition = text.value
    const result = await ask(definition).catch(() => undefined)
    if (definition === text.value) checked.value = result
  }
  let timer: number | undefined
  watch(text, () => {
    window.clearTimeout(timer)
    timer = window.setTimeout(check, PAUSE)
  })
  return { checked, check }
}
