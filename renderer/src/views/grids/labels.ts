/** `strategy=entropy, teachers=a + b`: a setting in the few words that tell it from the others. */
export function settingLabel(axes: Record<string, unknown>): string {
  const parts = Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${valueLabel(value)}`)
  return parts.join(', ') || 'base'
}

function valueLabel(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueLabel).join(' + ') || 'none'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
