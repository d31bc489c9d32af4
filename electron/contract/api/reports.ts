import { z } from 'zod'
import { binEntry } from '../bin'
import { objectName } from '../experiment'
import { id } from '../library'
import { reportFormats, reportOptions, reportRow } from '../report'
import { studyContents, studyRow } from '../study'
import { task } from '../task'
import { byId, method, none } from './method'

export const reports = {
  'reports.list': method(none, z.array(reportRow)),
  'reports.create': method(
    z.strictObject({
      runs: z.array(id).min(1),
      name: objectName.optional(),
      format: z.enum(reportFormats).default('html'),
      options: reportOptions.optional(),
    }),
    reportRow,
  ),
  'reports.get': method(byId, z.object({ row: reportRow, content: z.string() })),
  /** The same report in another format, written into no list: text for the page to save. */
  'reports.write': method(
    z.strictObject({ id, format: z.enum(reportFormats), standalone: z.boolean().default(false) }),
    z.object({ file: z.string(), content: z.string() }),
  ),
  'reports.remove': method(byId, binEntry),

  'studies.list': method(none, z.array(studyRow)),
  /** What a study of one's own says, before it is started. */
  'studies.read': method(z.strictObject({ definition: z.string() }), studyContents),
  /**
   * Does a study, by its name or as it is defined, on the data of a source folder, as a task that ends in a report. What
   * the library and earlier, stopped attempts have is used again.
   */
  'studies.start': method(
    z.strictObject({
      study: z.union([z.string(), z.strictObject({ definition: z.string() })]),
      source: z.string().min(1).optional(),
    }),
    task,
  ),
} as const
