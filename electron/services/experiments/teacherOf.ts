import { badInput, hasLayers, namedUse, type RunTeacher, type TeacherUse } from '#contract'
import type { LibraryRows } from '../context'
import { findNamed } from '../identity'

/**
 * A definition's teacher, looked up.
 *
 * @throws bad-input when there is no such teacher, or its matrices are not ours to multiply in 8 bits
 */
export function teacherOf(
  use: TeacherUse,
  library: LibraryRows,
  file: string | undefined,
  field: string,
): RunTeacher {
  const { name, precision } = namedUse(use)
  const row = findNamed('teacher', library.teachers, name, { file, field })
  if (precision === 'f32') return row
  if (hasLayers(row.model)) return { ...row, precision }
  const what =
    row.model.family === 'onnx' ? 'is an ONNX model, computed as its file says' : 'is behind a server'
  throw badInput(`teacher "${row.name}" ${what}`, {
    file,
    field: `${field}.precision`,
    expected: 'f32, or a model of ours',
  })
}
