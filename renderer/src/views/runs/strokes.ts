import type { Run } from '#contract'
import { teacherStroke, type Stroke } from '../../charts/palette'
import { useLibrary } from '../../stores/library'

/** The strokes of a run's teachers, those of other tokenizers last: those that they have in the library. */
export function useTeacherStrokes(run: () => Run): (teacher: number) => Stroke {
  const library = useLibrary()
  void library.ensure()
  return (k) => {
    const { teachers, foreign } = run()
    const teacher = [...teachers, ...foreign][k]
    const at = library.teachers.findIndex(({ id }) => id === teacher?.id)
    return teacherStroke(at < 0 ? k : at)
  }
}
