import { numberOf, type Curve } from '#contract'

/** What had been seen at a series' steps. */
export type Clock = Readonly<Partial<Record<'tokens' | 'seconds', Curve>>>

/** A curve's value at a step, in proportion between its steps, from nothing at step 0; as at its last step after it. */
export function valueAtStep({ steps, values }: Curve, step: number): number {
  let [low, high] = [0, steps.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (steps[middle]! < step) low = middle + 1
    else high = middle
  }
  if (low === steps.length) return steps.length ? numberOf(values.at(-1)!) : 0
  if (steps[low] === step) return numberOf(values[low]!)
  const [step0, value0] = low ? [steps[low - 1]!, numberOf(values[low - 1]!)] : [0, 0]
  const part = (step - step0) / (steps[low]! - step0)
  return value0 + part * (numberOf(values[low]!) - value0)
}

/** What seeds of one setting have seen at the steps of the first, in the mean. */
export function meanClock(clocks: readonly Clock[]): Clock | undefined {
  const [first] = clocks
  const mean = (key: 'tokens' | 'seconds'): Clock => {
    const curves = clocks.flatMap((clock) => clock[key] ?? [])
    if (!first?.[key] || curves.length < clocks.length) return {}
    const { steps } = first[key]
    const at = (step: number) =>
      curves.reduce((sum, curve) => sum + valueAtStep(curve, step), 0) / curves.length
    return { [key]: { steps, values: steps.map(at) } }
  }
  const all = { ...mean('tokens'), ...mean('seconds') }
  return Object.keys(all).length ? all : undefined
}
