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

/** With its place among the others: 0 for the worst mean, 1 for the best; lowest to highest when no direction is good. */
const shaded = spread.extend({
  shade: z.number().nullable(),
  /** Whether its mean is the best one, of several; an upper bound never is. */
  best: z.boolean(),
})
export type ShadedSpread = z.output<typeof shaded>

/** One combination of axis values, over its seeds. */
export const settingResult = shaded.extend({
  /** `strategy=entropy, K=2`: for headers and for `baseline`. */
  key: z.string(),
  axes: z.record(z.string(), z.unknown()),
  /** Whether its teachers are weighted by the right answers: what could be reached, and no method. */
  upperBound: z.boolean(),
  /** Cells that were stopped early or failed: shown, never averaged in. */
  stopped: z.number().int(),
  failed: z.number().int(),
  /** Completed cells whose value is no finite number: shown, never averaged in. */
  notFinite: z.number().int(),
  /** Index of its value on each axis, in the axes' order. */
  at: z.array(z.number().int()),
  /** This setting less the baseline, paired by seed. */
  difference: z
    .object({
      mean: z.number(),
      /** 95 % interval; null where nothing says what chance would do. */
      low: z.number().nullable(),
      high: z.number().nullable(),
      /** Two-sided, after Holm's correction over the settings; null as above. */
      p: z.number().nullable(),
      seeds: z.number().int(),
      /**
       * `documents`: paired bootstrap over seeds and held-out documents, for metrics that documents have one by one;
       * `seeds`: Student's paired test over seeds.
       */
      basis: z.enum(['documents', 'seeds']),
      /** The interval leaves zero out and p is below 0.05. */
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
      cells: z.array(z.array(shaded)),
    })
    .optional(),
  /** Keys of settings; the best of those that are no upper bound. */
  best: z.string().nullable(),
  /**
   * 95 % interval of the best setting's mean: Student's over its seeds, or, with one seed, by bootstrap over held-out
   * documents where the metric has them.
   */
  bestInterval: z
    .object({ low: z.number(), high: z.number(), basis: z.enum(['documents', 'seeds']) })
    .nullable(),
  baseline: z.string().nullable(),
})
export type GridResults = z.output<typeof gridResults>

export const gridExportFormats = ['csv', 'latex', 'svg'] as const
export const gridFigures = ['heatmap', 'marginals', 'parallel', 'importance'] as const
export type GridFigure = (typeof gridFigures)[number]

/** A file that a grid's results are written as. */
export const gridExport = z.object({
  /** A name for it, with its ending. */
  file: z.string(),
  content: z.string(),
})
export type GridExport = z.output<typeof gridExport>
