import { onScopeDispose, ref, watch, type Ref } from 'vue'

/** The time in ms, anew every second as long as it is wanted. */
export function useNow(wanted: Ref<boolean>): Readonly<Ref<number>> {
  const now = ref(Date.now())
  let timer: number | undefined
  watch(
    wanted,
    (yes) => {
      window.clearInterval(timer)
      now.value = Date.now()
      if (yes) timer = window.setInterval(() => (now.value = Date.now()), 1000)
    },
    { immediate: true },
  )
  onScopeDispose(() => window.clearInterval(timer))
  return now
}
