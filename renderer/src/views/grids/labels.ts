import { settingText } from '#contract'

/** `strategy=entropy, teachers=a + b`: a setting in the few words that tell it from the others. */
export function settingLabel(axes: Record<string, unknown>): string {
  const parts = Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${settingText(value)}`)
  return parts.join(', ') || 'base'
}
