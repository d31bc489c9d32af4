import { RetortError, type GridRow, type Push, type Run, type Task } from '#contract'
import { gridLine, gridOutcome, runOutcome, showStep } from './outcomes'
import type { Outcome, Remote } from './session'

/*
 * What a command gives to the app that is open on its data directory, followed to its end. Ctrl-C stops it there, as it
 * would stop it here.
 */

interface Work<Row> {
  start(): Promise<Row>
  /** Asked for by Ctrl-C. */
  stop(row: Row): Promise<unknown>
  /** Of a push, the row of such work. */
  rowIn(push: Push): { id: string; status: string } | undefined
  show(push: Push, row: Row): void
}

const ENDED: readonly string[] = ['completed', 'failed', 'stopped']

/** Starts work and waits for its end. */
async function follow<Row extends { id: string; status: string }>(
  { host, signal }: Remote,
  { start, stop, rowIn, show }: Work<Row>,
): Promise<Row> {
  const ended = new Set<string>()
  let row: Row | undefined
  let end: () => void
  const done = new Promise<void>((resolve) => (end = resolve))
  // It listens before it begins: short work may end before the answer is read.
  host.onPush((push) => {
    const { id, status } = rowIn(push) ?? {}
    if (id !== undefined && ENDED.includes(status!)) ended.add(id)
    if (row && ended.has(row.id)) end()
    else if (row) show(push, row)
  })
  const started = (row = await start())
  if (ENDED.includes(started.status) || ended.has(started.id)) return started
  signal.addEventListener('abort', () => void stop(started).catch(() => {}), { once: true })
  await done
  return started
}

export async function followRun(remote: Remote, start: () => Promise<Run>): Promise<Outcome> {
  const { host, progress } = remote
  const { id } = await follow(remote, {
    start: async () => {
      const run = await start()
      const { queuePaused } = await host.call('settings.get', {})
      const waits = queuePaused ? 'waits: the queue of the app is paused' : 'waits in the queue of the app'
      if (run.status === 'queued') progress.show(`${run.name}  ${waits}`, 0)
      return run
    },
    stop: ({ id }) => host.call('runs.stop', { id }),
    rowIn: (push) => (push.topic === 'run' ? push.run : undefined),
    show: (push, run) => showStep(push, run, progress),
  })
  return runOutcome((await host.call('runs.get', { id })).run)
}

/** A cluster's cells go on when this command ends; the same command follows them again. */
export async function followGrid(remote: Remote, start: () => Promise<GridRow>): Promise<Outcome> {
  const { host, progress, signal } = remote
  const began = Date.now()
  const lines = new Map<string, (push: Push) => void>()
  const lineOf = (id: string) => lines.get(id) ?? lines.set(id, gridLine(id, progress, began)).get(id)!
  let leave: (row: GridRow) => void
  const left = new Promise<GridRow>((resolve) => (leave = resolve))
  const { id } = await Promise.race([
    left,
    follow(remote, {
      start: async () => {
        const row = await start()
        if (row.cluster !== undefined) signal.addEventListener('abort', () => leave(row), { once: true })
        return row
      },
      stop: async ({ id, cluster }) => cluster === undefined && host.call('grids.stop', { id }),
      rowIn: (push) => (push.topic === 'grid' ? push.grid : undefined),
      show: (push, { id }) => lineOf(id)(push),
    }),
  ])
  return gridOutcome(await host.call('grids.get', { id }), began)
}

/**
 * @returns the id of what came of it
 * @throws what the work threw
 */
export async function followTask(remote: Remote, start: () => Promise<Task>): Promise<string> {
  const { host, progress } = remote
  const ended = await follow(remote, {
    start,
    stop: ({ id }) => host.call('tasks.stop', { id }),
    rowIn: (push) => (push.topic === 'task' ? push.task : undefined),
    show: (push, { id }) => {
      if (push.topic !== 'task' || push.task.id !== id) return
      progress.show(push.task.phase, push.task.fraction, push.task.secondsLeft)
    },
  })
  const { error, made } = (await host.call('tasks.list', {})).find(({ id }) => id === ended.id) ?? ended
  if (error) throw new RetortError(error)
  return made!
}
