import { z } from 'zod'
import { objectName } from './experiment'
import { id } from './library'

/** Methods over seeds, and the questions that they answer. */
export const studyContents = z.object({
  name: objectName,
  description: z.string(),
  questions: z.array(z.string()),
  /** Teachers it brings in, and runs it does: methods times seeds. */
  teachers: z.number().int(),
  runs: z.number().int(),
  /** Of those runs, the ones that have completed here. */
  completed: z.number().int(),
  /** Files and folders it needs, below the source folder. */
  needs: z.array(z.string()),
  /** Its report, once it was done. */
  report: id.optional(),
})
export type StudyContents = z.output<typeof studyContents>

/** A study that comes with Retort. */
export const studyRow = studyContents.extend({
  /** The name of its file in `resources/studies`, without the extension. */
  study: z.string(),
})
export type StudyRow = z.output<typeof studyRow>
