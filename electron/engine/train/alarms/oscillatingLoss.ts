import { isNumber, numberOf, type RunConfig, type StepRecord } from '#contract'
import { stageOf } from '../../distill/objective'
import type { Detector } from './detector'

/** Steps that are looked at together, and those whose mean is one point of the smoothed loss. */
const WINDOW = 48
const SMOOTHING = 4
/**
 * Amplitude of the smoothed loss about its trend, as a share of its mean. Of 111 runs that went well (demo, studies,
 * grids; batches of 96 to 2,048 tokens) none had more than 0.12, and that one because its loss fell in a curve. Seen with
 * targets that jump between teachers: 0.26 to 0.41; with a learning rate that throws the weights about: 0.26 to 0.28.
 */
const LIMIT = 0.2
/** Nats: near a loss of zero a share says nothing. */
const AMPLITUDE = 0.1
/** A bend of the curve crosses its trend two or three times; a wave goes on. */
const CROSSINGS = 5
/** Share of the teachers' largest possible disagreement, log K, from which on they are the likely cause. */
const DISAGREEMENT = 0.05

/** A smoothed loss that swings about its own linear trend, after the warm-up. */
export function oscillatingLoss({ experiment }: Pick<RunConfig, 'experiment'>): Detector {
  const { train, loss, teachers } = experiment
  let recent: StepRecord[] = []
  let stage: string | undefined
  return {
    step(record) {
      const now = stageOf(experiment, record.step)
      // What comes after a step of no number, or in another stage, is another curve.
      if (now !== stage || !isNumber(record.loss)) [stage, recent] = [now, []]
      if (record.step <= train.warmup || !isNumber(record.loss)) return undefined
      recent.push(record)
      if (recent.length > WINDOW) recent.shift()
      if (recent.length < WINDOW) return undefined
      const { mean, amplitude, crossings } = swing(recent.map(({ loss }) => numberOf(loss)))
      if (amplitude < LIMIT * mean || amplitude < AMPLITUDE || crossings < CROSSINGS) return undefined

      const known = recent.map((r) => numberOf(r.disagreement ?? 0))
      const apart = known.reduce((a, b) => a + b) / known.length
      const limit = DISAGREEMENT * Math.log(teachers.length)
      const gate = teachers.length > 1 && loss.conflict !== 'gate' && apart > limit
      return {
        signature: 'oscillating-loss',
        step: record.step,
        message: `Over the last ${WINDOW} steps the loss swings by ${amplitude.toFixed(3)} about its trend, ${percent(amplitude / mean)} of its mean of ${mean.toFixed(3)}, and crosses it ${crossings} times.`,
        evidence: {
          amplitude,
          loss: mean,
          share: amplitude / mean,
          limit: LIMIT,
          crossings,
          ...(teachers.length > 1 && { disagreement: apart }),
          learningRate: record.learningRate,
        },
        advice: gate
          ? 'Look at the disagreement of the teachers; the gate trusts them less where they disagree.'
          : 'Start again with half the learning rate, or with larger batches.',
        mend: [gate ? 'loss.conflict=gate' : `train.learningRate=${train.learningRate / 2}`],
      }
    },
  }
}

/**
 * How a series swings about its linear trend once it is smoothed: mean, amplitude (of the sine with the residuals'
 * power, their root mean square times sqrt 2), and how often it crosses the trend.
 */
export function swing(values: readonly number[]): { mean: number; amplitude: number; crossings: number } {
  const smoothed = values.slice(SMOOTHING - 1).map((_, i) => meanOf(values.slice(i, i + SMOOTHING)))
  const mean = meanOf(smoothed)
  const middle = (smoothed.length - 1) / 2
  let [xy, xx] = [0, 0]
  for (const [i, y] of smoothed.entries()) {
    xy += (i - middle) * (y - mean)
    xx += (i - middle) ** 2
  }
  const residuals = smoothed.map((y, i) => y - mean - (xy / xx) * (i - middle))
  const amplitude = Math.sqrt(2 * meanOf(residuals.map((r) => r * r)))
  const crossings = residuals.slice(1).filter((r, i) => r * residuals[i]! < 0).length
  return { mean, amplitude, crossings }
}

const meanOf = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
const percent = (share: number) => `${Math.round(share * 100)} %`
