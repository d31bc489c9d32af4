import { z } from 'zod'
import { passJob } from './cluster'
import { errorShape } from './errors'
import { objectName } from './experiment'
import { digest, id, timestamp } from './library'
import { measured } from './measured'
import { memoryAdvice } from './outOfMemory'

const definition = z.record(z.string(), z.unknown())

/** Values of an axis: listed, evenly spaced (`to` included), or `count` of them with an even ratio, ends included. */
export const axisValues = z.union([
  z.array(z.unknown()).min(1, 'an axis has at least one value'),
  z.strictObject({ range: z.tuple([z.number(), z.number(), z.number().positive()]) }),
  z.strictObject({
    logRange: z.tuple([z.number().positive(), z.number().positive(), z.number().int().min(2)]),
  }),
])
export type AxisValues = z.output<typeof axisValues>

/**
 * Asynchronous successive halving: settings are judged at `minSteps` and then at `reduction` times as many steps, again
 * and again; the best 1 / reduction of those that have come to a rung go on, the others are stopped there.
 */
export const halving = z.strictObject({
  /** Of the evaluation record, as a mean over a setting's seeds. */
  metric: z.string().default('crossEntropy'),
  /** An evaluation of every cell: a multiple of `evaluate.every`. */
  minSteps: z.number().int().positive(),
  reduction: z.number().int().min(2).default(3),
})
export type Halving = z.output<typeof halving>

/** Seeds of repetitions: the same one twice would pass for two. */
export const seedList = z
  .array(z.number().int().nonnegative())
  .min(1)
  .refine((seeds) => new Set(seeds).size === seeds.length, 'a seed stands twice; expected each once')

/**
 * A base experiment and axes over paths of its schema; the cells are the product of axes and seeds, less those that
 * an entry of `skip` matches.
 */
export const grid = z.strictObject({
  name: objectName,
  /** A file (relative to the grid's own), the name of an experiment in the library, or an experiment inline. */
  base: z.union([z.string().min(1), definition]),
  axes: z.record(z.string(), axisValues),
  seeds: seedList.default([1]),
  /**
   * Left-out cells: each entry maps paths to a value or a list of values; a cell is left out when all of an entry's
   * paths have one of theirs. `seed` may be among the paths.
   */
  skip: z.array(z.record(z.string(), z.unknown())).default([]),
  /** Stops early what is behind; absent, every cell goes to its end. */
  halving: halving.optional(),
  /** Writes the report when the last cell has ended. */
  report: z.boolean().default(true),
})
export type Grid = z.output<typeof grid>

/** A named ablation of METHOD.md: `resources/presets/<name>.yaml`. The axes are applied to a person's experiment. */
export const gridPreset = z.strictObject({
  name: objectName,
  title: z.string(),
  description: z.string(),
  /** `teachers: { counts: [1, 2] }` stands for the first 1 and the first 2 of the experiment's own teachers. */
  axes: z.record(
    z.string(),
    z.union([axisValues, z.strictObject({ counts: z.array(z.number().int()).min(1) })]),
  ),
  seeds: seedList.default([1]),
  skip: grid.shape.skip,
})
export type GridPreset = z.output<typeof gridPreset>

export const cellStatuses = ['queued', 'running', 'completed', 'failed', 'stopped'] as const

/** One combination of axis values and a seed. */
export const gridCell = z.strictObject({
  /** Axis path to this cell's value. */
  axes: definition,
  seed: z.number().int(),
  /** Of the resolved configuration without names and times: cells of any grid that agree in it share a run. */
  digest,
  /** Absent until it is queued for the first time. */
  run: id.optional(),
  /** A cell whose run is paused is `running`. */
  status: z.enum(cellStatuses),
  /**
   * Under successive halving: `waiting` at a rung (its status is `queued`), or `stopped` there for good, shown but in no
   * average.
   */
  halving: z.enum(['waiting', 'stopped']).optional(),
  /** Why it failed or was stopped. */
  reason: z.string().optional(),
  step: z.number().int(),
  steps: z.number().int(),
  /** Means over the held-out splits at the last evaluation, by the names of the evaluation record. */
  metrics: z.record(z.string(), measured.nullable()),
})
export type GridCell = z.output<typeof gridCell>

/** What a cell will cost; nothing when its run is there already. */
export const cellEstimate = z.object({
  axes: definition,
  seed: z.number().int(),
  done: z.boolean(),
  /** Of what is left of its steps. Absent until a run was measured on this machine. */
  seconds: z.number().optional(),
  memoryMb: z.number(),
  /** Without the cache, which all cells share. */
  diskMb: z.number(),
})
export type CellEstimate = z.output<typeof cellEstimate>

/** What a grid will cost. Times are absent until a run was measured on this machine. */
export const gridEstimate = z.object({
  cells: z.number().int(),
  /** Cells whose run is there already. */
  done: z.number().int(),
  /** Teacher passes that the cache makes once for all cells, and those that the cells would make each for itself. */
  teacherPasses: z.number().int(),
  teacherPassesWithoutCache: z.number().int(),
  /** Bytes of the teacher-output cache, in MB. */
  cacheMb: z.number(),
  /** Of it, of a token of the training batches and a teacher, in the mean. */
  cacheBytesPerToken: z.number().optional(),
  /** Of the mean cell that is not done. */
  secondsPerCell: z.number().optional(),
  /** Of all that is left, passes included, computed as many side by side as the setting says. */
  seconds: z.number().optional(),
  /** Cells computed side by side. */
  jobs: z.number().int(),
  /** Of as many of the largest cells as are computed side by side. */
  memoryMb: z.number(),
  /** When the largest cell that is not done needs more than may be had. */
  memoryAdvice: memoryAdvice.optional(),
  /** Of what is left, the cache included. */
  diskMb: z.number(),
  /** In the grid's order. */
  each: z.array(cellEstimate),
})
export type GridEstimate = z.output<typeof gridEstimate>

export const gridStates = ['idle', 'running', 'paused', 'completed', 'failed', 'stopped'] as const

/** A grid of the library with its cells as they are now. */
export const gridRow = z.strictObject({
  id,
  name: objectName,
  /** YAML, the base inlined, else as the person wrote it. */
  definition: z.string(),
  /** `failed`: it has ended, but not every cell completed. */
  status: z.enum(gridStates),
  /** Axis path to its values, in the definition's order. */
  axes: z.record(z.string(), z.array(z.unknown())),
  seeds: z.array(z.number().int()),
  /** The cluster that computes its cells; absent when it is this machine. */
  cluster: objectName.optional(),
  /** The cluster's job that makes the teacher passes its cells share, the latest one. */
  passJob: passJob.optional(),
  cells: z.array(gridCell),
  /** Teachers' readings of a batch plan, counted as they happen: computed, and taken from the cache instead. */
  teacherPasses: z.number().int(),
  cacheHits: z.number().int(),
  /** Seconds that teachers would have taken in the steps that read their outputs from the cache, as measured. */
  secondsSaved: z.number(),
  /** Of the time that training and teacher passes would have taken without the cache the share saved, 0..1. */
  shareSaved: z.number(),
  /** Time worked on so far. */
  seconds: z.number(),
  /** The report that was written at its end. */
  report: id.optional(),
  error: errorShape.optional(),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type GridRow = z.output<typeof gridRow>

/** A grid as the catalogue keeps it: its cells' states are their runs'. */
export const storedGrid = gridRow
  .omit({ cells: true, teacherPasses: true, cacheHits: true, secondsSaved: true, shareSaved: true })
  .extend({
    cells: z.array(
      gridCell.omit({ status: true, halving: true, reason: true, step: true, steps: true, metrics: true }),
    ),
  })
export type StoredGrid = z.output<typeof storedGrid>
