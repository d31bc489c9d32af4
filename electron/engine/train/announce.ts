import { checkpointFolder, type TeacherOutputs } from '#contract'
import { describeForeign, foreignOutputs } from '../teachers/foreign'
import type { OpenedRun } from './openRun'
import type { Emit, RunLog } from './runLog'

/** Logs how a run begins, or where it goes on. */
export function announce(log: RunLog, { config, last, initial, foreign, studentText }: OpenedRun): void {
  if (last) {
    const { row, passedOver } = last
    for (const why of passedOver) log.warn(row.step, `${why}; on from ${checkpointFolder(row.step)}`)
    return log.event('resumed', row.step)
  }
  log.event('started', 0)
  if (config.temperatures) {
    const fitted = config.teachers.map((row, k) => `${row.name} ${config.temperatures![k]!.toFixed(3)}`)
    log.event('log', 0, `temperatures: ${fitted.join(', ')}`)
  }
  log.event('log', 0, `first weights: ${initial.note}`)
  if (studentText) log.event('log', 0, `the student writes from ${studentText.prompts} prompts`)
  for (const teacher of foreign) log.event('log', 0, describeForeign(config, teacher))
}

/** What the teachers' outputs cost this process so far, and how their servers do. */
export function tellTeachers(
  emit: Emit,
  { config, foreign, outputs }: Pick<OpenedRun, 'config' | 'foreign' | 'outputs'>,
  own: readonly TeacherOutputs[],
): void {
  const servers = outputs.servers()
  if (servers.length) emit({ type: 'servers', servers })
  emit({ type: 'teacher-outputs', outputs: [...own, ...foreignOutputs(config, foreign)] })
}
