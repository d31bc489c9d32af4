import type { Alarm, EvaluationRecord, StepRecord } from '#contract'
import type { TeacherFigures } from './teacherFigures'

/**
 * Watches one failure signature (METHOD: failure signatures) over the stream of a run's records. Its state is a
 * function of the records it has seen, so that a resumed run rebuilds it from its log.
 */
export interface Detector {
  /** Before the first step, once in a run's life. */
  teachers?(figures: TeacherFigures): Alarm | undefined
  step?(record: StepRecord): Alarm | undefined
  evaluation?(record: EvaluationRecord): Alarm | undefined
}
