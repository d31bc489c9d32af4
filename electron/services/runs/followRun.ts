import { failed, isNumber, type Run } from '#contract'
import type { Context } from '../context'
import { stopped, type TaskControl } from '../jobs'
import type { RunQueue } from '../queue'

/**
 * Waits for a run as a part of a task: its steps are the part's progress, stopping the task stops it.
 *
 * @throws failed when it was stopped, or what its worker said was wrong
 */
export async function followRun(
  { queue, context }: { queue: RunQueue; context: Context },
  run: Run,
  phase: string,
  { signal, progress }: TaskControl,
): Promise<Run> {
  // The task may be stopped a moment after its run has ended.
  const stop = () => {
    const row = context.catalogue.data.runs.find(({ id }) => id === run.id)
    if (row && ['queued', 'running', 'paused'].includes(row.status)) queue.stop(run.id)
  }
  signal.addEventListener('abort', stop, { once: true })
  progress(phase, run.step / run.steps)
  const unsubscribe = context.pushes.onPush((_, push) => {
    if (push.topic !== 'steps' || push.id !== run.id) return
    const last = push.records.at(-1)!
    const loss = isNumber(last.loss) ? `, loss ${last.loss.toFixed(2)}` : ''
    progress(`${phase}: step ${last.step}/${run.steps}${loss}`, last.step / run.steps)
  })
  try {
    if (signal.aborted) stop()
    const ended = await queue.finished(run.id)
    if (signal.aborted) throw stopped()
    if (ended.status === 'completed') return ended
    throw (
      queue.failure(run.id) ??
      failed(`run "${run.name}" ${ended.status}: ${ended.reason ?? 'no reason given'}`)
    )
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', stop)
  }
}
