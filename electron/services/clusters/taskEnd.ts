import type { TaskState } from '../../cluster'

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
