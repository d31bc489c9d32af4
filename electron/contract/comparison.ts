import { z } from 'zod'
import { id } from './library'
import { measured } from './measured'

/** A metric of several runs beside each other. `better` says which direction is good, if one is. */
export const comparisonColumn = z.object({
  key: z.string(),
  title: z.string(),
  unit: z.string(),
  better: z.enum(['lower', 'higher', 'neither']),
})
export const comparisonRow = z.object({
  run: id,
  name: z.string(),
  method: z.string(),
  values: z.record(z.string(), measured.nullable()),
  /** value - baseline's value. */
  differences: z.record(z.string(), measured.nullable()),
  /**
   * 95 % intervals of those differences that can be bootstrapped over held-out documents; `real` is false where the
   * interval holds 0 or the Holm-corrected p is 0.05 or more: no difference.
   */
  intervals: z.record(
    z.string(),
    z.object({ low: z.number(), high: z.number(), p: z.number(), real: z.boolean() }),
  ),
})
export const comparison = z.object({
  baseline: id,
  columns: z.array(comparisonColumn),
  rows: z.array(comparisonRow),
  /** Only the settings that are not the same in all runs: dotted path, then a value per run in the rows' order. */
  configDiff: z.array(z.object({ path: z.string(), values: z.array(z.unknown()) })),
  best: z.record(z.string(), id),
})
export type Comparison = z.output<typeof comparison>
export type ComparisonColumn = z.output<typeof comparisonColumn>
export type ComparisonRow = z.output<typeof comparisonRow>
