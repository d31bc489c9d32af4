export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}

/** Mean and sample standard deviation (null for a single value). */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number | null } {
  const center = mean(values)
  if (values.length < 2) return { mean: center, deviation: null }
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0)
  return { mean: center, deviation: Math.sqrt(squares / (values.length - 1)) }
}
