import { join } from 'node:path'
import { calibrationFor, type Calibration, type Int8Cost, type Teacher } from '#contract'
import { writeJsonAtomic } from '../../files'
import { paths, ROW } from '../../store'
import type { Context } from '../context'

/** Keeps a teacher's temperature for a mixture with the teacher, in place of an older one for the same. */
export function keepCalibration(context: Context, teacher: string, calibration: Calibration): void {
  const row = context.catalogue.data.teachers.find(({ id }) => id === teacher)
  if (!row) return
  const old = calibrationFor(row, calibration.corpora)
  keep(context, row, () => {
    row.calibrations = [...row.calibrations.filter((one) => one !== old), calibration]
  })
}

/** Keeps what a teacher's matrices in 8 bits cost with the teacher, in place of an older measurement. */
export function keepInt8Cost(context: Context, teacher: string, cost: Int8Cost): void {
  const row = context.catalogue.data.teachers.find(({ id }) => id === teacher)
  if (row) keep(context, row, () => (row.int8 = cost))
}

function keep(context: Context, row: Teacher, change: () => void): void {
  context.catalogue.update(change)
  writeJsonAtomic(join(paths.libraryItem(context.dataDir, 'teachers', row.id), ROW), row)
  context.pushes.push({ topic: 'library', noun: 'teachers' })
}
