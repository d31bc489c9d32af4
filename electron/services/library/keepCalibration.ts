import { join } from 'node:path'
import { calibrationFor, type Calibration } from '#contract'
import { writeJsonAtomic } from '../../files'
import { paths, ROW } from '../../store'
import type { Context } from '../context'

/** Keeps a teacher's temperature for a mixture with the teacher, in place of an older one for the same. */
export function keepCalibration(context: Context, teacher: string, calibration: Calibration): void {
  const row = context.catalogue.data.teachers.find(({ id }) => id === teacher)
  if (!row) return
  const old = calibrationFor(row, calibration.corpora)
  context.catalogue.update(() => {
    row.calibrations = [...row.calibrations.filter((one) => one !== old), calibration]
  })
  writeJsonAtomic(join(paths.libraryItem(context.dataDir, 'teachers', row.id), ROW), row)
  context.pushes.push({ topic: 'library', noun: 'teachers' })
}
