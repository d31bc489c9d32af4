import { computed, type WritableComputedRef } from 'vue'
import { useApp } from '../../stores/app'
import { useAddress } from '../../ui/address'

/**
 * The chosen columns of the list of runs: those of its address, else those that were chosen last, which the host keeps.
 * None at all is said by a dash.
 */
export function useRunColumns(): WritableComputedRef<string[]> {
  const app = useApp()
  const address = useAddress('columns')
  return computed({
    get: () =>
      address.value
        ? address.value.split(',').filter((key) => key !== '-')
        : (app.settings?.runColumns ?? []),
    set: (keys) => {
      address.value = keys.join(',') || '-'
      void app.save({ runColumns: keys })
    },
  })
}
