import {
  isNumber,
  measuredOf,
  notFiniteSigns,
  numberOf,
  problemsOf,
  type Measured,
  type MemoryAdvice,
} from '#contract'

/** `1 run`, `2 runs`. */
export function plural(amount: number, noun: string): string {
  return `${amount.toLocaleString('en-GB')} ${noun}${amount === 1 ? '' : 's'}`
}

/** All that a call was refused for, or what broke. */
export function errorText(reason: unknown): string {
  return problemsOf(reason)
    .map(({ message }) => message)
    .join('; ')
}

/** Four significant digits; what is no finite number as what it is, what was not measured as a dash. */
export function show(of: Measured | null | undefined): string {
  const value = typeof of === 'number' ? measuredOf(of) : of
  if (value === null || value === undefined) return '–'
  if (!isNumber(value)) return notFiniteSigns[value]
  const magnitude = Math.floor(Math.log10(Math.abs(value)))
  // A diverged loss: twenty digits tell nobody anything.
  if (Math.abs(value) >= 1e12) return value.toExponential(3)
  if (Number.isInteger(value)) return value.toLocaleString('en-GB')
  if (magnitude >= 4) return Math.round(value).toLocaleString('en-GB')
  return magnitude < -4 ? value.toExponential(3) : value.toFixed(Math.max(0, 3 - magnitude))
}

/** With its sign, for differences. */
export function showSigned(of: Measured | null | undefined): string {
  if (of === null || of === undefined) return ''
  const value = numberOf(of)
  if (Number.isNaN(value)) return show(value)
  return `${value > 0 ? '+' : value < 0 ? '−' : '±'}${show(Math.abs(value))}`
}

export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return ''
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

export function bytes(count: number): string {
  if (count < 1e3) return `${count} B`
  if (count < 1e6) return `${show(count / 1e3)} kB`
  return count < 1e9 ? `${show(count / 1e6)} MB` : `${show(count / 1e9)} GB`
}

/** An estimate in MB (2^20 bytes), whole below 1 GB. */
export function megabytes(count: number): string {
  if (count < 1) return 'under 1 MB'
  return count < 1024 ? `${Math.round(count)} MB` : `${show(count / 1024)} GB`
}

/** Parameters, tokens, examples: never of bytes, which have units of their own. */
export function count(value: number): string {
  if (value < 1e4) return value.toLocaleString('en-GB')
  return value < 1e6 ? `${show(value / 1e3)} k` : `${show(value / 1e6)} M`
}

export function when(timestamp: string | undefined): string {
  if (!timestamp) return '–'
  const date = new Date(timestamp)
  return date.toLocaleString('en-GB', { day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' })
}

/** What needs more memory than there is, and what to do: `About 900 MB of 800 MB. Set train.accumulate: 4 (...).` */
export function memoryShortage({ needMb, limitMb, memoryMb, advice }: MemoryAdvice): string {
  const enough = memoryMb === undefined ? '' : ` About ${megabytes(memoryMb)} are enough then.`
  return `It needs about ${megabytes(needMb)}, ${megabytes(limitMb)} can be had. ${advice}${enough}`
}
