import type { Run } from '#contract'
import type { TaskState } from '../../cluster'
import { progressOf, type RunFolder } from '../../store'

/** What has become of a task: its run has ended, is at work, or has ended without having said so yet. */
export type Outcome =
  | { kind: 'ended' | 'at-work'; change: Partial<Run> }
  /** A shared file system may show the folder's last lines a moment later: it is looked at once more. */
  | { kind: 'seen-ended' }

/**
 * A run's row as its folder and Slurm say; the folder is the truth, Slurm knows only who is at work.
 *
 * @param task what Slurm says of it; undefined when it knows it no longer
 * @param known.until the step of a rung of successive halving that it was to come to
 * @param known.seenEnded its task was seen ended the last time
 * @param known.lastWords of its task's log
 */
export function outcomeOf(
  folder: RunFolder,
  task: TaskState | undefined,
  { until, seenEnded, lastWords }: { until?: number; seenEnded: boolean; lastWords(): string | undefined },
): Outcome {
  const { status, reason, ...rest } = progressOf(folder)
  const measured = { ...rest, teacherOutputs: folder.teacherOutputs() }
  const state = task?.state ?? 'ended'
  const atRung = status === 'stopped' && until !== undefined && measured.step >= until && state === 'ended'
  if (status === 'completed' || atRung)
    return { kind: 'ended', change: { ...measured, status, reason: undefined } }
  if (state !== 'ended') {
    const now = state === 'pending' ? 'queued' : 'running'
    return { kind: 'at-work', change: { ...measured, endedAt: undefined, status: now, reason: task?.reason } }
  }
  if (!seenEnded) return { kind: 'seen-ended' }
  if (wasCancelled(task) || (status === 'stopped' && !task))
    return { kind: 'ended', change: { ...measured, status: 'stopped', reason: 'cancelled on the cluster' } }
  const said = status === 'failed' && reason ? reason : lastWords()
  return { kind: 'ended', change: { ...measured, status: 'failed', reason: describeEnd(task, said) } }
}

/** Whether somebody has ended a task: Slurm says `CANCELLED by` whom. */
export function wasCancelled(task: TaskState | undefined): boolean {
  return task?.word.startsWith('CANCELLED') ?? false
}

/**
 * Why a task has ended that is not whole.
 * @param said the last words of its log, or of its run
 */
export function describeEnd(task: TaskState | undefined, said: string | undefined): string {
  const how = task && !['COMPLETED', 'FAILED'].includes(task.word) ? `Slurm says ${task.word}` : undefined
  return [how, said].filter(Boolean).join('; ') || 'its task on the cluster ended without a word'
}
