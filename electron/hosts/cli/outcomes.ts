import { failed, type GridRow, type Push, type Run } from '#contract'
import { show } from '../../services/report'
import type { Outcome } from './session'
import { duration, formatTable, type ProgressLine } from './terminal'

/** A run's steps on the progress line. */
export function showStep(push: Push, { id, name, steps }: Run, progress: ProgressLine): void {
  if (push.topic !== 'steps' || push.id !== id) return
  const { step, loss, tokensPerSecond, seconds } = push.records.at(-1)!
  const phase = `${name}  step ${step}/${steps}  loss ${show(loss)}  ${show(Math.round(tokensPerSecond))} tokens/s`
  progress.show(phase, step / steps, ((steps - step) * seconds) / step)
}

/**
 * What a run that has ended says.
 *
 * @throws failed when it failed
 */
export function runOutcome({ id, name, status, step, evaluation, reason }: Run): Outcome {
  if (status === 'failed') throw failed(reason ?? 'the run failed')
  const {
    perplexity = null,
    bitsPerByte = null,
    crossEntropy = null,
    klToFused,
    agreement,
    distillationLoss,
  } = evaluation ?? {}
  const metrics = {
    perplexity,
    bitsPerByte,
    crossEntropy,
    klToFused,
    distillationLoss,
    agreement,
    corpora: evaluation?.corpora,
  }
  const lines = [
    `${name} (${id}): ${status} at step ${step}${status === 'stopped' && reason ? `: ${reason}` : ''}`,
    `held-out perplexity ${show(perplexity)}, ${show(bitsPerByte)} bits per byte${klToFused == null ? '' : `, KL to the fused target ${show(klToFused)}`}`,
  ]
  return {
    json: { id, name, status, step, metrics },
    text: lines.join('\n'),
    status: status === 'completed' ? undefined : 1,
  }
}

/** A grid's pushes on the progress line; the cluster's job of its teacher passes is said where it changes. */
export function gridLine(id: string, progress: ProgressLine, began: number): (push: Push) => void {
  let told: string | undefined
  return (push) => {
    if (push.topic !== 'grid' || push.grid.id !== id) return
    const [passes] = passesOf(push.grid)
    // A login host that cannot be reached is named here too.
    if (passes !== undefined && passes !== told) process.stderr.write(`${(told = passes)}\n`)
    progress.show(...phaseOf(push.grid, began))
  }
}

/** @param began when the command did, in milliseconds */
export function gridOutcome(row: GridRow, began: number): Outcome {
  const seconds = (Date.now() - began) / 1000
  const cells = row.cells.map(({ axes, seed, run, status, halving, reason, metrics }) => ({
    axes,
    seed,
    run,
    status,
    halving,
    reason,
    metrics,
  }))
  const { id, teacherPasses, cacheHits, secondsSaved, shareSaved, status, report, passJob } = row
  return {
    json: { id, status, cells, passJob, teacherPasses, cacheHits, secondsSaved, shareSaved, report, seconds },
    text: describe(row, seconds),
    status: status === 'completed' ? undefined : 1,
  }
}

/** The cluster's job that makes the shared passes: its state, and why it is in it. */
function passesOf({ passJob }: GridRow): string[] {
  if (!passJob) return []
  const { cluster, job, state, reason } = passJob
  return [`teacher passes on ${cluster}${job ? `, job ${job}` : ''}: ${state}${reason ? ` (${reason})` : ''}`]
}

function phaseOf({ name, cells }: GridRow, began: number): [string, number, number | undefined] {
  const done = cells.filter(({ status }) => ['completed', 'failed', 'stopped'].includes(status)).length
  const work = cells.map(({ status, step, steps }) => (status === 'completed' ? 1 : steps ? step / steps : 0))
  const fraction = work.reduce((a, b) => a + b, 0) / cells.length
  const elapsed = (Date.now() - began) / 1000
  const left = fraction > 0.05 ? (elapsed * (1 - fraction)) / fraction : undefined
  return [`${name}  ${done}/${cells.length} cells`, fraction, left]
}

function describe(row: GridRow, seconds: number): string {
  const { name, cells, axes, teacherPasses, cacheHits, secondsSaved, shareSaved, status } = row
  const paths = Object.keys(axes)
  const table = formatTable(
    [...paths, 'seed', 'status', 'perplexity', 'bits/byte', 'KL to fused'],
    cells.map((cell) => [
      ...paths.map((path) => [cell.axes[path]].flat().map(String).join('+')),
      String(cell.seed),
      cell.halving === 'stopped' ? 'stopped by halving' : cell.status,
      ...['perplexity', 'bitsPerByte', 'klToFused'].map((key) => show(cell.metrics[key] ?? null)),
    ]),
  )
  const failures = cells.flatMap(({ run, reason, status }) =>
    status === 'failed' ? [`${run ?? ''}: ${reason ?? 'failed'}`] : [],
  )
  const totals = `${name}: ${status}; ${teacherPasses} teacher passes, ${cacheHits} taken from the cache, ${duration(secondsSaved)} saved (${show(shareSaved * 100)} %); ${duration(seconds)}`
  return [table, ...failures, '', ...passesOf(row), totals].join('\n')
}
