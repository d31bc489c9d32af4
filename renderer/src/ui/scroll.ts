import { nextTick, onBeforeUnmount, onMounted, type Ref } from 'vue'
import { useRoute } from 'vue-router'

/** Where each entry of the history had been scrolled to. */
const places = new Map<string, number>()
/** An entry keeps its position while its address changes with what the page shows. */
const entry = (path: string) => `${(window.history.state as { position?: number } | null)?.position} ${path}`
/** How long a list may take to come before its place is given up. */
const PATIENCE_MS = 2000

/** Comes back to where an element had been scrolled to when the history comes back to its page. */
export function useScrollPlace(element: Ref<HTMLElement | null>): void {
  const key = entry(useRoute().path)
  onMounted(async () => {
    const place = places.get(key)
    const until = performance.now() + PATIENCE_MS
    while (place && element.value && performance.now() < until) {
      element.value.scrollTop = place
      if (element.value.scrollTop >= place - 1) return
      await new Promise(requestAnimationFrame)
      await nextTick()
    }
  })
  onBeforeUnmount(() => {
    if (element.value) places.set(key, element.value.scrollTop)
  })
}
