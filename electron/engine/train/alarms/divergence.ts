import { isNumber, type Alarm, type RunConfig } from '#contract'
import { stageOf } from '../../distill/objective'
import type { Detector } from './detector'

/** Steps whose mean loss is compared: one odd batch is not a divergence. */
const WINDOW = 5
const LIMIT = 3
/** Nats: near a loss of zero a multiple says nothing. */
const RISE = 0.5

/** NaN, infinity, or a mean loss above 3 x its running minimum. */
export function divergence({ experiment }: Pick<RunConfig, 'experiment'>): Detector {
  let recent: number[] = []
  let minimum = Infinity
  let stage: string | undefined
  const { learningRate, clip } = experiment.train
  const raise = (step: number, message: string, evidence: Alarm['evidence']): Alarm => ({
    signature: 'divergence',
    step,
    message,
    evidence,
    advice: 'Start again with half the learning rate.',
    mend: [`train.learningRate=${learningRate / 2}`, ...(clip === 0 ? ['train.clip=1'] : [])],
  })
  return {
    step({ step, loss, gradNorm, lossScale = 1 }) {
      // A gradient that overflows under a loss scale halves it; under none, or the least, it is infinite by itself.
      if (!isNumber(loss) || (!isNumber(gradNorm) && lossScale <= 1)) {
        const what = !isNumber(loss) ? 'loss' : "loss's gradient"
        return raise(step, `The ${what} is not a finite number at step ${step}.`, { learningRate })
      }
      // The next stage has another loss: nothing of this one's can be compared with it.
      const now = stageOf(experiment, step)
      if (now !== stage) [stage, recent, minimum] = [now, [], Infinity]
      recent.push(loss)
      if (recent.length > WINDOW) recent.shift()
      if (recent.length < WINDOW) return undefined
      const mean = recent.reduce((a, b) => a + b) / recent.length
      minimum = Math.min(minimum, mean)
      if (mean <= LIMIT * minimum || mean - minimum < RISE) return undefined
      const evidence = { loss: mean, runningMinimum: minimum, limit: LIMIT, learningRate }
      return raise(
        step,
        `The loss has risen to ${mean.toFixed(3)}, ${(mean / minimum).toFixed(1)} times its minimum of ${minimum.toFixed(3)}.`,
        evidence,
      )
    },
  }
}
