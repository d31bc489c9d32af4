import { onBeforeUnmount, onMounted, ref, type Ref } from 'vue'

/** Width of an element in pixels, as it changes. */
export function useWidth(element: Ref<HTMLElement | undefined>, first = 600): Ref<number> {
  const width = ref(first)
  const observer = new ResizeObserver(() => (width.value = element.value?.clientWidth || width.value))
  onMounted(() => element.value && observer.observe(element.value))
  onBeforeUnmount(() => observer.disconnect())
  return width
}
