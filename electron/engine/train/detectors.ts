import type { Alarm, EvaluationRecord, RunConfig, StepRecord } from '#contract'

/**
 * Watches one failure signature (METHOD: failure signatures) over the stream of a run's records. Its state is a
 * function of the records it has seen, so that a resumed run rebuilds it from its log.
 */
export interface Detector {
  step?(record: StepRecord): Alarm | undefined
  evaluation?(record: EvaluationRecord): Alarm | undefined
}

/** All detectors of a run. Each signature is raised once. */
export class Watch {
  private readonly raised = new Set<string>()
  private readonly detectors: readonly Detector[]

  constructor(config: RunConfig) {
    this.detectors = [divergence(config)]
  }

  step(record: StepRecord): Alarm[] {
    return this.fresh(this.detectors.map((detector) => detector.step?.(record)))
  }

  evaluation(record: EvaluationRecord): Alarm[] {
    return this.fresh(this.detectors.map((detector) => detector.evaluation?.(record)))
  }

  private fresh(seen: (Alarm | undefined)[]): Alarm[] {
    const alarms = seen.filter((alarm) => alarm !== undefined && !this.raised.has(alarm.signature)) as Alarm[]
    for (const { signature } of alarms) this.raised.add(signature)
    return alarms
  }
}

/** Steps whose mean loss is compared: one odd batch is not a divergence. */
const DIVERGENCE_WINDOW = 5
const DIVERGENCE_LIMIT = 3
/** Nats: near a loss of zero a multiple says nothing. */
const DIVERGENCE_RISE = 0.5

/** NaN, infinity, or a mean loss above 3 x its running minimum. */
export function divergence({ experiment }: Pick<RunConfig, 'experiment'>): Detector {
  const recent: number[] = []
  let minimum = Infinity
  const { learningRate, clip } = experiment.train
  const raise = (step: number, message: string, evidence: Alarm['evidence']): Alarm => ({
    signature: 'divergence',
    step,
    message,
    evidence,
    advice: 'Start again with half the learning rate; the last good checkpoint is kept.',
    mend: [`train.learningRate=${learningRate / 2}`, ...(clip === 0 ? ['train.clip=1'] : [])],
  })
  return {
    step({ step, loss, gradNorm }) {
      if (loss === null || gradNorm === null) {
        const what = loss === null ? 'loss' : "loss's gradient"
        return raise(step, `The ${what} is not a finite number at step ${step}.`, { learningRate })
      }
      recent.push(loss)
      if (recent.length > DIVERGENCE_WINDOW) recent.shift()
      if (recent.length < DIVERGENCE_WINDOW) return undefined
      const mean = recent.reduce((a, b) => a + b) / recent.length
      minimum = Math.min(minimum, mean)
      if (mean <= DIVERGENCE_LIMIT * minimum || mean - minimum < DIVERGENCE_RISE) return undefined
      const evidence = { loss: mean, runningMinimum: minimum, limit: DIVERGENCE_LIMIT, learningRate }
      return raise(
        step,
        `The loss has risen to ${mean.toFixed(3)}, ${(mean / minimum).toFixed(1)} times its minimum of ${minimum.toFixed(3)}.`,
        evidence,
      )
    },
  }
}
