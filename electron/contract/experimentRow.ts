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
