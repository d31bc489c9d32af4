/** About five round numbers within a range, ascending. */
export function roundTicks(low: number, high: number): number[] {
  if (!(high > low)) return [low]
  const raw = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!
  const count = Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1
  return Array.from({ length: count }, (_, i) =>
    Number(((Math.ceil(low / step - 1e-9) + i) * step).toPrecision(12)),
  )
}

/** The range of values with some room around; of one value, room for it. */
export function rangeOf(values: readonly number[]): [low: number, high: number] {
  if (!values.length) return [0, 1]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const room = (high - low) * 0.06 || Math.abs(low) * 0.05 || 1
  return [low - room, high + room]
}

const DIGITS = { maximumSignificantDigits: 4 } as const

/** A number beside an axis, in at most some eight characters: a diverged norm has many digits. */
export function shortTick(value: number): string {
  const short = Number(value.toPrecision(4))
  return Math.abs(short) >= 1e6 ? short.toExponential() : short.toLocaleString('en-GB', DIGITS)
}
