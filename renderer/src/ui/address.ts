import { computed, ref, watch, type Ref, type WritableComputedRef } from 'vue'
import { useRoute, useRouter, type Router } from 'vue-router'

/** What is to be written into the address at the end of this turn: several parts at once are one change. */
const pending = new Map<string, string | undefined>()

/** The path of the page that is being opened and not there yet. */
let underWay: string | undefined

/** Has to know of every navigation: call it once. */
export function watchNavigation(router: Router): void {
  router.beforeEach(({ path }) => void (underWay = path))
  router.afterEach(() => (underWay = undefined))
}

function write(router: Router, path: string, key: string, value: string | undefined): void {
  const first = !pending.size
  pending.set(key, value)
  if (!first) return
  queueMicrotask(() => {
    const query = { ...router.currentRoute.value.query, ...Object.fromEntries(pending) }
    pending.clear()
    // Whoever goes on to another page leaves this one's state behind; a change now would call him back.
    if ((underWay ?? router.currentRoute.value.path) === path) void router.replace({ query })
  })
}

/**
 * A part of what a page shows, kept in its address: a reload, a link and the way back show the same again. At its
 * fallback it is not written.
 */
export function useAddress(key: string, fallback = ''): Ref<string> {
  const route = useRoute()
  const router = useRouter()
  const { path } = route
  const there = () => (typeof route.query[key] === 'string' ? route.query[key] : fallback)
  const value = ref(there())
  watch(value, (now) => {
    if (now !== there()) write(router, path, key, now === fallback ? undefined : now)
  })
  watch(there, (now) => {
    if (route.path === path && !pending.has(key)) value.value = now
  })
  return value
}

/** As `useAddress`, of several ids. */
export function useAddressList(key: string): WritableComputedRef<string[]> {
  const text = useAddress(key)
  return computed({
    get: () => text.value.split(',').filter(Boolean),
    set: (ids) => (text.value = ids.join(',')),
  })
}

/**
 * Which dialog of the page is open, kept in its address: whatever leads to the page can lead into the dialog.
 *
 * @returns by a dialog's name whether it is open
 */
export function useDialogs(): (name: string) => WritableComputedRef<boolean> {
  const shown = useAddress('open')
  return (name) =>
    computed({
      get: () => shown.value === name,
      set: (open) => {
        if (open) shown.value = name
        else if (shown.value === name) shown.value = ''
      },
    })
}
