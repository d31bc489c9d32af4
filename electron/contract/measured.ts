import { z } from 'zod'

/** What a measurement may be that JSON has no number for. */
const notFinite = ['Infinity', '-Infinity', 'NaN'] as const

/**
 * A number that was measured: a loss may become infinite, or no number at all. These have words of their own, as JSON
 * would make null of them, which is read as no number where older files have it.
 */
export const measured = z.union(
  [z.number(), z.enum(notFinite), z.null().transform((): (typeof notFinite)[number] => 'NaN')],
  `expected a number, or one of ${notFinite.map((word) => `"${word}"`).join(', ')}`,
)
export type Measured = z.output<typeof measured>

/** As it is written. */
export function measuredOf(value: number): Measured {
  return Number.isFinite(value) ? value : (String(value) as Measured)
}

/** To calculate with; NaN where nothing was measured. */
export function numberOf(value: Measured | null | undefined): number {
  return value === null || value === undefined ? NaN : Number(value)
}

/** How they are shown. */
export const notFiniteSigns = { Infinity: '∞', '-Infinity': '−∞', NaN: 'NaN' } as const

/** Whether it is a number like others: it has a place on an axis and in a mean. */
export function isNumber(value: Measured | null | undefined): value is number {
  return typeof value === 'number'
}

/** The lowest of those that are finite numbers; else what one of them is, undefined without any. */
export function lowest(values: readonly (Measured | null | undefined)[]): Measured | undefined {
  const finite = values.filter(isNumber)
  return finite.length ? Math.min(...finite) : (values.find((value) => value != null) ?? undefined)
}

/** A p-value to read: three decimals, and no more zeros than tell something. */
export function showP(p: number): string {
  return p < 0.001 ? '< 0.001' : p.toFixed(3)
}
