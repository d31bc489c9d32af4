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
})
/** Runs that differ in nothing but their seed: one setting, measured several times. */
export const comparisonMethod = z.object({
  label: z.string(),
  method: z.string(),
  /** One a seed. */
  runs: z.array(id),
  /** Runs that repeat a seed: they count in nothing. */
  repeats: z.array(id),
  /** Mean over the seeds, and the 95 % interval of that mean by Student's t; null of one seed. */
  values: z.record(
    z.string(),
    z.object({ mean: measured, low: z.number().nullable(), high: z.number().nullable() }).nullable(),
  ),
  /** Mean - mean of the baseline's method. */
  differences: z.record(z.string(), measured.nullable()),
  /**
   * 95 % intervals of those differences that can be bootstrapped over seeds and held-out documents; `real` is false where the
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
  /** The rows gathered by everything but the seed, in the order of their first. */
  methods: z.array(comparisonMethod),
  /** Only the settings that are not the same in all runs: dotted path, then a value per run in the rows' order. */
  configDiff: z.array(z.object({ path: z.string(), values: z.array(z.unknown()) })),
  /** By column, the first run of the best method. */
  best: z.record(z.string(), id),
})
export type Comparison = z.output<typeof comparison>
export type ComparisonColumn = z.output<typeof comparisonColumn>
export type ComparisonMethod = z.output<typeof comparisonMethod>
export type ComparisonRow = z.output<typeof comparisonRow>

/** A run's name without the seed at its end: runs of one setting share it. */
export const seedless = (name: string): string => name.replace(/[\s,;:_-]*seed[\s=]*\d+(-\d+)?$/i, '')
