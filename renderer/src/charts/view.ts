import { computed, inject, provide, reactive, type InjectionKey, type Ref } from 'vue'
import { useAddress } from '../ui/address'
import { overs, type Over } from './lens'

/** How all the charts of a page are drawn. */
export interface ChartView {
  over: Ref<Over>
  /** The share of what is in sight that an average remembers; 0 is off. */
  smoothing: Ref<number>
  logarithmic: Ref<boolean>
  /** Names of series that are not drawn. */
  hidden: Set<string>
}

const key: InjectionKey<ChartView> = Symbol('charts')
/** Shares, by how the page calls them. */
export const smoothings = { none: 0, little: 0.01, some: 0.04, much: 0.12 } as const
export type Smoothing = keyof typeof smoothings

/** For a page with charts: how they are drawn, kept in its address. */
export function useChartView() {
  const x = useAddress('x', 'step')
  const smooth = useAddress('smooth', 'none')
  const y = useAddress('y', 'linear')
  const over = computed({
    get: () => overs.find((one) => one === x.value) ?? 'step',
    set: (now) => (x.value = now),
  })
  const level = computed({
    get: () => (Object.keys(smoothings) as Smoothing[]).find((one) => one === smooth.value) ?? 'none',
    set: (now) => (smooth.value = now),
  })
  const logarithmic = computed({
    get: () => y.value === 'log',
    set: (now) => (y.value = now ? 'log' : 'linear'),
  })
  const smoothing = computed(() => smoothings[level.value])
  provide(key, { over, smoothing, logarithmic, hidden: reactive(new Set<string>()) })
  return reactive({ over, level, logarithmic })
}

/** For a chart: how its page wants it; alone it is drawn over steps as it is. */
export function injectChartView(): ChartView {
  return inject(key, () => plain(), true)
}
const plain = (): ChartView => ({
  over: computed(() => 'step' as const),
  smoothing: computed(() => 0),
  logarithmic: computed(() => false),
  hidden: reactive(new Set<string>()),
})
