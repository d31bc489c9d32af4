import { z } from 'zod'
import { binEntry } from '../bin'
import { problemShape } from '../errors'
import { estimate } from '../estimate'
import { experiment, objectName } from '../experiment'
import { experimentRow, experimentVersion } from '../experimentRow'
import { id } from '../library'
import { run } from '../run'
import { byId, definitionSource, forced, method, none } from './method'

export const experiments = {
  'experiments.list': method(none, z.array(experimentRow)),
  'experiments.get': method(byId, experimentRow),
  /** What it was before, the newest first. */
  'experiments.versions': method(byId, z.array(experimentVersion)),
  /**
   * Creates without `id`, replaces with it. The definition must parse; names in it need not exist yet. `since`: the
   * `updatedAt` of the row that is changed; a conflict where it was changed by somebody else since then.
   */
  'experiments.save': method(
    z.strictObject({ id: id.optional(), definition: z.string(), since: z.string().optional() }),
    experimentRow,
  ),
  'experiments.duplicate': method(byId, experimentRow),
  /** An edited copy of a run's definition that goes on from its best checkpoint: change its teachers, then start it. */
  'experiments.continue': method(z.strictObject({ run: id }), experimentRow),
  'experiments.remove': method(byId, binEntry),
  /** Parses YAML without saving: every problem, and the definition with its defaults when there is none. */
  'experiments.check': method(
    z.strictObject({ definition: z.string() }),
    z.object({
      problems: z.array(problemShape),
      resolved: experiment.optional(),
      estimate: estimate.optional(),
    }),
  ),
  /** Queues a run of it; refused before anything is written when a name or a digest does not hold. */
  'experiments.start': method(
    z.strictObject({
      id: id.optional(),
      definition: z.string().optional(),
      source: definitionSource,
      name: objectName.optional(),
      force: forced,
    }),
    run,
  ),
} as const
