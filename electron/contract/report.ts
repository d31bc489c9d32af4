import { z } from 'zod'
import { objectName } from './experiment'
import { id, timestamp } from './library'

export const reportFormats = ['html', 'pdf', 'md', 'tex', 'csv', 'json'] as const

/** What a report may hold; in this order. */
export const reportSections = [
  'findings',
  'metrics',
  'differences',
  'corpora',
  'calibration',
  'paper',
  'costs',
  'curves',
  'settings',
  'samples',
  'origins',
] as const
export type ReportSection = (typeof reportSections)[number]

/** What is chosen of a report of runs. */
export const reportOptions = z.strictObject({
  /** The run that differences are to; default the first that was trained without teachers, else the first. */
  baseline: id.optional(),
  /** Default: all. */
  sections: z.array(z.enum(reportSections)).min(1).optional(),
  /** Of LaTeX: a document that compiles by itself; default parts for a paper. */
  standalone: z.boolean().optional(),
})
export type ReportOptions = z.output<typeof reportOptions>

export const reportRow = z.strictObject({
  id,
  name: objectName,
  format: z.enum(reportFormats),
  runs: z.array(id),
  /** File name below `<data dir>/reports/`. */
  file: z.string(),
  bytes: z.number(),
  /** What was chosen of a report that a person asked for: it can be written in other formats. */
  options: reportOptions.optional(),
  createdAt: timestamp,
})
export type ReportRow = z.output<typeof reportRow>
