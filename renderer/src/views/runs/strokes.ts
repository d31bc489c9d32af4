import { computed } from 'vue'
import { teacherStrokes, type RunRow, type Stroke } from '#contract'
import { useLibrary } from '../../stores/library'

/** The strokes of a run's teachers, those of other tokenizers last: those that they have in the library. */
export function useTeacherStrokes(run: () => RunRow): (teacher: number) => Stroke {
  const library = useLibrary()
  void library.ensure()
  const teachers = computed(() => [...run().teachers, ...run().foreign])
  const strokes = computed(() => teacherStrokes(library.teachers, teachers.value))
  return (k) => strokes.value.get(teachers.value[k]!.id)!
}
