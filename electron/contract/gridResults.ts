import { z } from 'zod'
import { id } from './library'

/** What completed cells have in common: mean over settings, deviation over seeds, 95 % interval of the mean. */
export const spread = z.object({
  /** Null when nothing has completed. */
  mean: z.number().nullable(),
  /** Over the seeds that every setting has; null with fewer than two. */
  sd: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
  /** Seeds that the deviation is over. */
  seeds: z.number().int(),
  /** Completed cells in it. */
  cells: z.number().int(),
  runs: z.array(id),
})
export type Spread = z.output<typeof spread>

/** One combination of axis values, over its seeds. */
export const settingResult = spread.extend({
  /** `strategy=entropy, K=2`: for headers and for `baseline`. */
  key: z.string(),
  axes: z.record(z.string(), z.unknown()),
  /** Cells that were stopped early or failed: shown, never averaged in. */
  stopped: z.number().int(),
  failed: z.number().int(),
  /** This setting less the baseline, paired by seed; `different` when the 95 % interval leaves zero out. */
  difference: z
    .object({
      mean: z.number(),
      low: z.number().nullable(),
      high: z.number().nullable(),
      seeds: z.number().int(),
      different: z.boolean().nullable(),
    })
    .nullable(),
})
export type SettingResult = z.output<typeof settingResult>

export const gridMetric = z.object({
  key: z.string(),
  title: z.string(),
  unit: z.string(),
  better: z.enum(['lower', 'higher', 'neither']),
})
export type GridMetric = z.output<typeof gridMetric>

/** What a grid has found so far, for one metric. */
export const gridResults = z.object({
  metric: gridMetric,
  /** Every metric that some completed cell has. */
  metrics: z.array(gridMetric),
  settings: z.array(settingResult),
  axes: z.array(
    z.object({
      path: z.string(),
      values: z.array(z.object({ label: z.string(), value: z.unknown(), spread })),
      /**
       * Main effect of the axis: its share of the variance between settings, 0..1 (functional ANOVA, Hutter et al.
       * 2014). Null while there are fewer than two values to compare.
       */
      importance: z.number().nullable(),
    }),
  ),
  /** What the main effects leave: interactions between axes. Null as above. */
  interactions: z.number().nullable(),
  /** Settings without a completed cell, whose value a random forest filled in for the importances. */
  filledIn: z.number().int(),
  /** Rows by columns, the other axes averaged over. Absent with fewer than two axes. */
  matrix: z
    .object({
      rows: z.string(),
      columns: z.string(),
      cells: z.array(z.array(spread)),
    })
    .optional(),
  /** Keys of settings. */
  best: z.string().nullable(),
  baseline: z.string().nullable(),
})
export type GridResults = z.output<typeof gridResults>
