import { computed, onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'

/** Rows that are all drawn: a window over fewer saves nothing. */
const ALL = 80
/** Rows that are drawn beyond what is in sight, above and below. */
const BEYOND = 12

/** Rows `from` up to `to` are drawn; the rest is `above` and `below` them, in pixels. */
export interface RowWindow {
  from: number
  to: number
  above: number
  below: number
}

/**
 * The rows to be drawn of a list that scrolls.
 *
 * @param top how far the list has been scrolled out at its top, in pixels; negative while its begin is further down
 * @param sight height of what is in sight, in pixels
 */
export function windowOf(count: number, row: number, top: number, sight: number): RowWindow {
  if (count <= ALL) return { from: 0, to: count, above: 0, below: 0 }
  const first = Math.floor(Math.max(0, top) / row) - BEYOND
  const shown = Math.ceil(sight / row) + 2 * BEYOND
  const from = Math.max(0, Math.min(first, count - shown))
  const to = Math.min(count, from + shown)
  return { from, to, above: from * row, below: (count - to) * row }
}

/**
 * The part of a long table that is in sight, of rows of one height: only that is drawn.
 *
 * @param body the table's body, inside the `main` that scrolls
 * @param height of a row before one was measured, in pixels
 */
export function useRowWindow(
  body: Ref<HTMLElement | null>,
  count: () => number,
  height: number,
): Readonly<Ref<RowWindow>> {
  const [top, sight, row] = [ref(0), ref(window.innerHeight), ref(height)]
  let scroller: HTMLElement | null = null
  function look(): void {
    if (!body.value || !scroller) return
    const measured = body.value.querySelector<HTMLElement>('tr')?.getBoundingClientRect().height
    if (measured) row.value = measured
    top.value =
      scroller.getBoundingClientRect().top - body.value.getBoundingClientRect().top + shown.value.above
    sight.value = scroller.clientHeight
  }
  const resized = new ResizeObserver(look)
  // The body comes and goes with the rows.
  function attach(): void {
    scroller?.removeEventListener('scroll', look)
    resized.disconnect()
    scroller = body.value?.closest('main') ?? null
    scroller?.addEventListener('scroll', look, { passive: true })
    if (scroller) resized.observe(scroller)
    look()
  }
  const shown = computed(() => windowOf(count(), row.value, top.value, sight.value))
  onMounted(attach)
  watch(body, attach)
  watch(count, look, { flush: 'post' })
  onBeforeUnmount(() => {
    scroller?.removeEventListener('scroll', look)
    resized.disconnect()
  })
  return shown
}
