import { z } from 'zod'
import { objectName } from './model'

export const teacherPrecisions = ['f32', 'int8'] as const
export type TeacherPrecision = (typeof teacherPrecisions)[number]

/**
 * A teacher of an experiment: its name in the library, or with it what its matrices are multiplied in. `int8` takes a
 * quarter of the memory and is not what the teacher says in f32 (engine: model/quantised); what that costs is measured.
 */
export const teacherUse = z
  .union([
    objectName,
    z.strictObject({ name: objectName, precision: z.enum(teacherPrecisions).default('f32') }),
  ])
  .transform((use) => (typeof use === 'object' && use.precision === 'f32' ? use.name : use))
export type TeacherUse = z.output<typeof teacherUse>

export function namedUse(use: TeacherUse): { name: string; precision: TeacherPrecision } {
  return typeof use === 'string' ? { name: use, precision: 'f32' } : use
}

export const namesOf = (uses: readonly TeacherUse[]): string[] => uses.map((use) => namedUse(use).name)
