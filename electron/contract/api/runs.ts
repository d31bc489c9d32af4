import { z } from 'zod'
import { alarmSignatures } from '../alarm'
import { binEntry } from '../bin'
import { comparison } from '../comparison'
import { FEWEST_POINTS, runCurves } from '../curves'
import { disagreementPage } from '../disagreement'
import { objectName } from '../experiment'
import { experimentRow } from '../experimentRow'
import { loggedEvent } from '../job'
import { id } from '../library'
import { evaluationDetail, evaluationRecord } from '../metrics'
import { checkpoint, environment, run, runConfig, runNote, runRow, runTag, runValue } from '../run'
import { writing } from '../source'
import { task } from '../task'
import { byId, method, none } from './method'

const ids = z.strictObject({ ids: z.array(id).min(1) })

export const runs = {
  'runs.list': method(none, z.array(runRow)),
  'runs.get': method(
    byId,
    z.object({ run, config: runConfig.optional(), environment: environment.optional() }),
  ),
  /**
   * What runs have measured, each curve at most `points` long: lowest and highest values and what is no finite number
   * stay. Fewer `keys` and a stretch of steps (`from` to `to`) leave room for more points of it.
   */
  'runs.curves': method(
    z.strictObject({
      ids: z.array(id).min(1),
      /** As in `curve`; default: all. A key that a run does not have is left out. */
      keys: z.array(z.string()).optional(),
      from: z.number().optional(),
      to: z.number().optional(),
      points: z.number().int().min(FEWEST_POINTS).default(2000),
    }),
    z.array(runCurves),
  ),
  /** All of its evaluations, oldest first. */
  'runs.evaluations': method(byId, z.array(evaluationRecord)),
  /** What the evaluation at the last step found out beyond its record; nothing before. */
  'runs.evaluation': method(byId, z.object({ detail: evaluationDetail.optional() })),
  /**
   * Where a run's teachers disagree: held-out documents from `first` on, read by its best checkpoint. What is not known
   * yet is computed by a task; asked again when that has completed, the page is there.
   */
  'runs.disagreement': method(
    z.strictObject({
      id,
      /** Default: the run's first corpus. */
      corpus: id.optional(),
      first: z.number().int().nonnegative().default(0),
    }),
    z.union([z.object({ page: disagreementPage }), z.object({ task })]),
  ),
  /** What the student of a run that learns on its own text wrote, now and then; empty of others. */
  'runs.writings': method(byId, z.array(writing)),
  'runs.log': method(byId, z.array(loggedEvent)),
  'runs.checkpoints': method(byId, z.array(checkpoint)),
  'runs.pause': method(byId, run),
  'runs.continue': method(byId, run),
  'runs.stop': method(byId, run),
  /** Goes on from the last checkpoint of a stopped, failed or crashed run. */
  'runs.resume': method(byId, run),
  'runs.rename': method(z.strictObject({ id, name: objectName }), run),
  /** Keeps runs out of the lists, with all that they have, or brings them back. */
  'runs.archive': method(ids.extend({ archived: z.boolean() }), z.array(run)),
  /** Stars, tags and a note, which stay as they are where nothing is said of them. */
  'runs.annotate': method(
    ids.extend({
      starred: z.boolean().optional(),
      add: z.array(runTag).optional(),
      remove: z.array(runTag).optional(),
      note: runNote.optional(),
    }),
    z.array(run),
  ),
  /**
   * Columns that the list does not hold: settings by their path (`loss.lambda`; a list as its text), and what the last
   * evaluation measured (`heldOut.ece`). Null where a run has none.
   *
   * `values` by key, in the order of the `ids`, which are all runs where none are named.
   */
  'runs.values': method(
    z.strictObject({ keys: z.array(z.string().min(1)).min(1).max(100), ids: z.array(id).optional() }),
    z.object({ ids: z.array(id), values: z.record(z.string(), z.array(runValue)) }),
  ),
  'runs.remove': method(byId, binEntry),
  /** An experiment in the library that is this run's definition with the mend of its alarm applied. */
  'runs.mend': method(z.strictObject({ id, signature: z.enum(alarmSignatures) }), experimentRow),
  /** Moves a waiting run before another one, or to the end; it takes that one's priority. */
  'runs.reorder': method(z.strictObject({ id, before: id.optional() }), run),
  /** Higher goes first. */
  'runs.prioritise': method(z.strictObject({ id, priority: z.number().int() }), run),
  'runs.compare': method(ids.extend({ baseline: id.optional() }), comparison),
} as const
