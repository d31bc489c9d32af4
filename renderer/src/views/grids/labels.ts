import { settingText, type PassJob } from '#contract'

/** `strategy=entropy, teachers=a + b`: a setting in the few words that tell it from the others. */
export function settingLabel(axes: Record<string, unknown>): string {
  const parts = Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${settingText(value)}`)
  return parts.join(', ') || 'base'
}

/** How the job goes that makes a grid's teacher passes on a cluster. */
export const passStates: Record<PassJob['state'], string> = {
  waiting: 'waiting to begin; the cells follow it',
  running: 'being made; the cells follow it',
  completed: 'made',
  failed: 'not made; the cells make them, one at a time',
  cancelled: 'cancelled; the cells make them, one at a time',
}
