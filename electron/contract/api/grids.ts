import { z } from 'zod'
import { binEntry } from '../bin'
import { problemShape } from '../errors'
import { objectName } from '../experiment'
import { grid, gridEstimate, gridPreset, gridRow } from '../grid'
import { gridExport, gridExportFormats, gridFigures, gridResults } from '../gridResults'
import { id } from '../library'
import { byId, definitionSource, forced, method, none } from './method'

/** One metric over settings, axes and seeds; `rows` and `columns` are axes' paths, `baseline` a setting's key. */
const resultsQuery = z.strictObject({
  id,
  metric: z.string().optional(),
  baseline: z.string().optional(),
  rows: z.string().optional(),
  columns: z.string().optional(),
})
/** The cluster that computes a grid's cells; absent: this machine. */
const onCluster = objectName.optional()
/** A preset on an experiment (a name or an id). */
const presetOn = {
  preset: objectName,
  experiment: z.string().min(1),
  name: objectName.optional(),
  seeds: grid.shape.seeds.optional(),
  halving: grid.shape.halving,
}

export const grids = {
  'grids.list': method(none, z.array(gridRow)),
  'grids.get': method(byId, gridRow),
  /** Creates without `id`, replaces with it; `base` is a name in the library, or inline. Cells keep their runs. */
  'grids.save': method(z.strictObject({ id: id.optional(), definition: z.string() }), gridRow),
  /** Parses and expands YAML without saving; the problem names the axis. */
  'grids.check': method(
    z.strictObject({ definition: z.string() }),
    z.object({
      problems: z.array(problemShape),
      resolved: grid.optional(),
      estimate: gridEstimate.optional(),
    }),
  ),
  /** What a grid will cost before it is started: one of the library, one given whole, or a preset on an experiment. */
  'grids.estimate': method(
    z.union([byId, z.strictObject({ definition: z.string() }), z.strictObject(presetOn)]),
    gridEstimate,
  ),
  /**
   * Starts a grid of the library, one given whole, or a preset on an experiment (a name or an id); ends in a report.
   * Cells that are done are kept, whichever grid did them. Refused when the largest of those that this machine is to
   * compute needs more memory than may be had.
   */
  'grids.start': method(
    z.union([
      z.strictObject({ id, cluster: onCluster, force: forced }),
      z.strictObject({ definition: z.string(), source: definitionSource, cluster: onCluster, force: forced }),
      z.strictObject({ ...presetOn, cluster: onCluster, force: forced }),
    ]),
    gridRow,
  ),
  /** Pauses its running cells and starts no further ones; `resume` goes on, also after `stop` and with failed cells. */
  'grids.pause': method(byId, gridRow),
  'grids.resume': method(byId, gridRow),
  /** Its running cells make a checkpoint and end. */
  'grids.stop': method(byId, gridRow),
  /** To the bin; its runs stay. */
  'grids.remove': method(byId, binEntry),
  'grids.presets': method(none, z.array(gridPreset)),
  'grids.results': method(resultsQuery, gridResults),
  /**
   * The results as a file: every cell, seed and metric in a row (csv), tables of mean ± sd and figures of
   * each axis (latex; `standalone` is a document that compiles by itself), or a figure (svg).
   */
  'grids.export': method(
    resultsQuery.extend({
      format: z.enum(gridExportFormats),
      figure: z.enum(gridFigures).default('heatmap'),
      standalone: z.boolean().default(false),
    }),
    gridExport,
  ),
} as const
