import type { Halving, Run, StoredGrid } from '#contract'
import { RunFolder } from '../../store'
import { evaluationMetrics } from '../comparison'
import type { Context } from '../context'
import type { RunQueue } from '../queue'
import { promotions, ranking, rungsOf, type Competitor } from './halving'
import { settingKey } from './spread'
import { isAtRung } from './view'

/**
 * A grid's cells under successive halving. Nothing of it is kept beside the runs: how far each may go stands in its
 * row, what it had come to at a rung in its folder. So it goes on after a kill as if there had been none.
 */
export class Competition {
  private readonly scores = new Map<string, number>()

  constructor(
    private readonly context: Context,
    private readonly queue: RunQueue,
  ) {}

  /** Where a cell that has not been started ends at first; undefined where it is the end of the run. */
  firstEnd(halving: Halving | undefined, steps: number): number | undefined {
    return halving && rungsOf(halving, steps)[0]
  }

  /** Where a cell that has failed or was stopped goes on to; a step that is no rung of this grid was another's. */
  nextEnd(halving: Halving | undefined, { until, step, steps }: Run): number | undefined {
    const rungs = halving ? rungsOf(halving, steps) : []
    return rungs.find((rung) => rung === until) ?? rungs.find((rung) => rung > step)
  }

  /** Whether a cell waits at a rung of this grid to be let go on. */
  waits(halving: Halving | undefined, run: Run): boolean {
    return halving !== undefined && isAtRung(run) && rungsOf(halving, run.steps).includes(run.until!)
  }

  /** Lets those go on that have earned it; true when there are such. */
  advance(row: StoredGrid, halving: Halving, runs: readonly Run[]): boolean {
    let any = false
    const { rungs, lower, competitors } = this.standings(row, halving, runs)
    for (const { key, allowed } of promotions(competitors, rungs.length, halving.reduction, lower)) {
      for (const run of runsOfSetting(row, key, runs) ?? [])
        if (isAtRung(run)) {
          any = true
          this.queue.resume(run.id, { cluster: row.cluster, until: rungs[allowed + 1] })
        }
    }
    return any
  }

  /** Says of every run that was stopped by halving where it stood. */
  explain(row: StoredGrid, halving: Halving, runs: readonly Run[]): void {
    const { rungs, lower, competitors } = this.standings(row, halving, runs)
    for (const competitor of competitors) {
      const place = ranking(competitors, competitor.allowed, lower)
      const rank = place.indexOf(competitor) + 1
      for (const run of runsOfSetting(row, competitor.key, runs) ?? []) {
        if (!isAtRung(run)) continue
        const reason = `stopped by halving at step ${rungs[competitor.allowed]}: number ${rank} of ${place.length} by ${halving.metric}`
        if (run.reason !== reason) this.queue.explain(run.id, reason)
      }
    }
  }

  /** What runs stopped by halving had come to, for the report. */
  stopped(runs: readonly Run[], { metric }: Halving): { run: Run; value: number | null }[] {
    return runs.filter(isAtRung).map((run) => {
      const value = this.scoreAt(run, run.until!, metric)
      return { run, value: Number.isFinite(value) ? value : null }
    })
  }

  private standings(row: StoredGrid, halving: Halving, runs: readonly Run[]) {
    const rungs = rungsOf(halving, runs[0]?.steps ?? 0)
    const lower = evaluationMetrics.find(({ key }) => key === halving.metric)?.better !== 'higher'
    const keys = [...new Set(row.cells.map(({ axes }) => settingKey(axes)))]
    const competitors = keys.map((key) => this.competitor(key, runsOfSetting(row, key, runs), rungs, halving))
    return { rungs, lower, competitors }
  }

  /** @param own its runs; undefined before all of them are queued */
  private competitor(
    key: string,
    own: readonly Run[] | undefined,
    rungs: readonly number[],
    { metric }: Halving,
  ): Competitor {
    if (!own) return { key, allowed: 0, scores: [] }
    const ends = own.map(({ until = Infinity }) => rungs.filter((rung) => rung < until).length)
    const allowed = Math.min(...ends)
    // One that has failed, or that a person has stopped, comes to no further rung.
    const out = own.some((run) => run.status === 'failed' || (run.status === 'stopped' && !isAtRung(run)))
    const scores: number[] = []
    for (const rung of rungs.slice(0, allowed + 1)) {
      if (out) scores.push(Infinity)
      else if (own.every((run) => hasPassed(run, rung)))
        scores.push(own.reduce((sum, run) => sum + this.scoreAt(run, rung, metric), 0) / own.length)
      else break
    }
    return { key, allowed, scores }
  }

  /** The metric at the evaluation of a step; infinite, and so the worst, where it is not a number. */
  private scoreAt({ id }: Run, step: number, metric: string): number {
    const key = `${id}/${step}/${metric}`
    const known = this.scores.get(key)
    if (known !== undefined) return known
    const { evaluations } = new RunFolder(this.context.dataDir, id).metrics()
    const record = evaluations.find((evaluation) => evaluation.step === step) as
      Record<string, unknown> | undefined
    const value = record?.[metric]
    const score = typeof value === 'number' ? value : Infinity
    if (record) this.scores.set(key, score)
    return score
  }
}

/** Whether it has been evaluated there: a running one's evaluation follows its step. */
function hasPassed({ step, status }: Run, rung: number): boolean {
  return step > rung || (step === rung && status !== 'running')
}

/** Undefined before all of them are queued. */
function runsOfSetting(row: StoredGrid, key: string, runs: readonly Run[]): Run[] | undefined {
  const cells = row.cells.filter(({ axes }) => settingKey(axes) === key)
  const own = cells.map((cell) => runs.find(({ id }) => id === cell.run))
  return own.every((run) => run !== undefined) ? [...new Set(own)] : undefined
}
