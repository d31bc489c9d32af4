import { join } from 'node:path'
import {
  isEvaluation,
  loggedEvent,
  parse,
  parseMetricsLine,
  runFiles,
  type Alarm,
  type AlarmSignature,
  type EvaluationRecord,
  type RunConfig,
  type StepRecord,
} from '#contract'
import { readJsonLines } from '../../../files'
import { collapsedWriting } from './collapsedWriting'
import type { Detector } from './detector'
import { divergence } from './divergence'
import { homogeneousTeachers } from './homogeneousTeachers'
import { miscalibratedTeacher } from './miscalibratedTeacher'
import { modeCollapse } from './modeCollapse'
import { oscillatingLoss } from './oscillatingLoss'
import type { TeacherFigures } from './teacherFigures'

/** All detectors of a run. Each signature is raised once. */
export class Watch {
  private readonly raised: Set<AlarmSignature>
  private readonly detectors: readonly Detector[]

  /** @param raised signatures that the run's log holds already */
  constructor(config: RunConfig, raised: readonly AlarmSignature[] = []) {
    this.raised = new Set(raised)
    this.detectors = [
      homogeneousTeachers(config),
      miscalibratedTeacher(config),
      divergence(config),
      oscillatingLoss(config),
      modeCollapse(config),
      collapsedWriting(config),
    ]
  }

  teachers(figures: TeacherFigures): Alarm[] {
    return this.fresh(this.detectors.map((detector) => detector.teachers?.(figures)))
  }

  step(record: StepRecord): Alarm[] {
    return this.fresh(this.detectors.map((detector) => detector.step?.(record)))
  }

  evaluation(record: EvaluationRecord): Alarm[] {
    return this.fresh(this.detectors.map((detector) => detector.evaluation?.(record)))
  }

  /** Those that are raised for the first time. */
  fresh(seen: readonly (Alarm | undefined)[]): Alarm[] {
    const alarms = seen.filter((alarm) => alarm !== undefined && !this.raised.has(alarm.signature)) as Alarm[]
    for (const { signature } of alarms) this.raised.add(signature)
    return alarms
  }
}

/** The detectors, as they were after the last record of the log. */
export function watchFrom(config: RunConfig, folder: string): Watch {
  const read = <T>(name: string, parse: (value: unknown, where: string) => T) =>
    readJsonLines(join(folder, name), { parse }).records
  const events = read(runFiles.events, (value, where) => parse(loggedEvent, value, where))
  const raised = events.flatMap(({ alarm }) => (alarm ? [alarm.signature] : []))
  const watch = new Watch(config, raised)
  for (const line of read(runFiles.metrics, parseMetricsLine)) {
    if (isEvaluation(line)) watch.evaluation(line)
    else watch.step(line)
  }
  return watch
}
