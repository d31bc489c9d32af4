/**
 * A setting's value in a few words: lists joined by +, a group as its keys with their values, an entry of a mixture by
 * its name and, unless that is 1, its weight.
 */
export function settingText(value: unknown): string {
  if (Array.isArray(value)) return value.map(settingText).join(' + ') || 'none'
  if (typeof value !== 'object' || value === null) return String(value)
  const { name, weight = 1, ...others } = value as Record<string, unknown>
  if (typeof name === 'string' && !Object.keys(others).length)
    return weight === 1 ? name : `${name} × ${String(weight)}`
  return Object.entries(value)
    .map(([key, inner]) => `${key} ${settingText(inner)}`)
    .join(', ')
}
