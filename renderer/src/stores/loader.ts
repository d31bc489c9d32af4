import { getCurrentScope, onScopeDispose, ref, watch, type Ref } from 'vue'
import { connection, onLost } from '../api/client'
import { errorText } from '../ui/format'

export interface Loader {
  state: Ref<'idle' | 'loading' | 'ready' | 'error'>
  error: Ref<string>
  load(): Promise<void>
  /** Loads unless it was loaded before. */
  ensure(): Promise<void>
}

/**
 * The states of everything that is fetched, a store's rows or what one page shows: loading, ready, error with another
 * try. Loads anew when pushes were missed, as long as whoever made it is there.
 */
export function createLoader(fetch: () => Promise<void>): Loader {
  const state = ref<'idle' | 'loading' | 'ready' | 'error'>('idle')
  const error = ref('')
  async function load(): Promise<void> {
    // What is there stays on the screen while it is fetched anew.
    if (state.value !== 'ready') state.value = 'loading'
    try {
      await fetch()
      state.value = 'ready'
    } catch (reason) {
      error.value = errorText(reason)
      state.value = 'error'
    }
  }
  const forget = onLost(() => {
    if (state.value !== 'idle') void load()
  })
  if (getCurrentScope()) onScopeDispose(forget)
  // What could not be fetched while the host was away is fetched when it is back.
  watch(
    () => connection.status,
    (now) => now === 'open' && state.value === 'error' && void load(),
  )
  return {
    state,
    error,
    load,
    ensure: async () => {
      if (state.value === 'idle' || state.value === 'error') await load()
    },
  }
}
