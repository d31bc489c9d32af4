import { z } from 'zod'
import { objectName } from './experiment'
import { id, timestamp } from './library'

/** An experiment of the library; `definition` is kept as the person wrote it, defaults not filled in. */
export const experimentRow = z.strictObject({
  id,
  name: objectName,
  /** YAML. */
  definition: z.string(),
  /** Shipped with the demo; edited copies are not. */
  builtIn: z.boolean().default(false),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type ExperimentRow = z.output<typeof experimentRow>

/** What an experiment was until it was saved anew. */
export const experimentVersion = z.strictObject({ definition: z.string(), savedAt: timestamp })
export type ExperimentVersion = z.output<typeof experimentVersion>

/** Versions of an experiment that are kept. */
export const KEPT_VERSIONS = 10

/** The row as it is kept; lists leave its earlier versions out. */
export const storedExperiment = experimentRow.extend({
  /** The newest first. */
  versions: z.array(experimentVersion).max(KEPT_VERSIONS).optional(),
})
export type StoredExperiment = z.output<typeof storedExperiment>
