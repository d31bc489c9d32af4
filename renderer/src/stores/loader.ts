import { ref, type Ref } from 'vue'
import { onLost } from '../api/client'

export interface Loader {
  state: Ref<'idle' | 'loading' | 'ready' | 'error'>
  error: Ref<string>
  load(): Promise<void>
  /** Loads unless it was loaded before. */
  ensure(): Promise<void>
}

/** The states every list has: loading, ready, error with another try. Loads anew when pushes were missed. */
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
      error.value = reason instanceof Error ? reason.message : String(reason)
      state.value = 'error'
    }
  }
  onLost(() => {
    if (state.value !== 'idle') void load()
  })
  return {
    state,
    error,
    load,
    ensure: async () => {
      if (state.value === 'idle' || state.value === 'error') await load()
    },
  }
}
