/** JSON has no NaN and no infinity: they cross it as null. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
