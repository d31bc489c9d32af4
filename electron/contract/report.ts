import { z } from 'zod'
import { objectName } from './experiment'
import { id, timestamp } from './library'

export const reportFormats = ['html', 'pdf', 'md', 'tex', 'csv', 'json'] as const

export const reportRow = z.strictObject({
  id,
  name: objectName,
  format: z.enum(reportFormats),
  runs: z.array(id),
  /** File name below `<data dir>/reports/`. */
  file: z.string(),
  bytes: z.number(),
  createdAt: timestamp,
})
export type ReportRow = z.output<typeof reportRow>
