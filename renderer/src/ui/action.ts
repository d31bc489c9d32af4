import { useToast } from '@nuxt/ui/composables'
import { ref } from 'vue'
import { errorText } from './format'

/** A button's work: busy while it goes on, an error as a message that stays. */
export function useAction() {
  const toast = useToast()
  const busy = ref(false)
  async function act<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    busy.value = true
    try {
      return await work()
    } catch (error) {
      toast.add({
        title: what,
        description: errorText(error),
        color: 'error',
        icon: 'i-lucide-triangle-alert',
        duration: 15_000,
      })
      return undefined
    } finally {
      busy.value = false
    }
  }
  return { busy, act }
}
