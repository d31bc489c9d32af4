import { z } from 'zod'
import { cacheCleared, cacheEntry } from '../cache'
import { clusterCheck, clusterJob, clusterProfile } from '../cluster'
import { digest, id } from '../library'
import { byName, method, none } from './method'

export const machines = {
  /** The teacher-output cache, the longest unused first. */
  'cache.list': method(none, z.array(cacheEntry)),
  /** Removes entries, by default all; those in use stay. */
  'cache.clear': method(z.strictObject({ keys: z.array(digest).optional() }), cacheCleared),

  'clusters.list': method(none, z.array(clusterProfile)),
  /** The profile's YAML, as the person wrote it. */
  'clusters.get': method(byName, z.object({ definition: z.string() })),
  /** Adds a profile, or replaces the one of its name. */
  'clusters.save': method(z.strictObject({ definition: z.string() }), clusterProfile),
  'clusters.remove': method(byName, none),
  'clusters.test': method(byName, clusterCheck),
  /** The tasks of a grid's cells: the latest of each run that was ever handed to a cluster. */
  'clusters.jobs': method(z.strictObject({ grid: id }), z.array(clusterJob)),
} as const
