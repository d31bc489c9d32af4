import { isNumber, measuredOf, numberOf, type EvaluationRecord, type RunConfig } from '#contract'
import { stageOf } from '../../distill/objective'
import type { Detector } from './detector'
import { judgedFrom, percent } from './judged'

/** A student whose held-out cross-entropy still falls by more than this share from one evaluation to the next is learning. */
const STANDSTILL = 0.01
/** Distance of the mean entropy to log V, as a share of it, and share of the positions with one top-1 token. */
const NEAR_UNIFORM = 0.02
const SAME_TOKEN = 0.9

/**
 * A student that says nothing: its mean entropy is within 2 % of log V, or its likeliest token is the same at more than
 * 90 % of the held-out positions. Every student begins like that, so it is judged after the warm-up and the beginning,
 * and has to be so at two evaluations in a row without having learnt in between; where only the last one is late enough,
 * that one decides.
 */
export function modeCollapse({ experiment, student }: Pick<RunConfig, 'experiment' | 'student'>): Detector {
  const { train, loss, teachers } = experiment
  const lambda = teachers.length ? loss.lambda : 0
  const most = Math.log(student.vocab)
  const from = judgedFrom(train)
  let before: { seen: boolean; crossEntropy: number } | undefined
  return {
    evaluation(record) {
      // A record of an earlier version does not say.
      if (record.step <= from || !record.topToken) return undefined
      // Features alone teach the inside of a student, not what it says.
      if (stageOf(experiment, record.step) === 'features') return undefined
      const entropy = numberOf(record.studentEntropy ?? 0)
      const uniform = entropy >= (1 - NEAR_UNIFORM) * most
      const { share, labels } = record.topToken
      const seen = uniform || share > SAME_TOKEN
      const crossEntropy = isNumber(record.crossEntropy) ? record.crossEntropy : Infinity
      const stands = before
        ? before.seen && crossEntropy > (1 - STANDSTILL) * before.crossEntropy
        : record.step === train.steps
      before = { seen, crossEntropy }
      if (!seen || !stands) return undefined
      return {
        signature: 'mode-collapse',
        step: record.step,
        message: uniform
          ? `The student's mean entropy is ${entropy.toFixed(3)} nats, within 2 % of the ${most.toFixed(3)} of a uniform guess.`
          : `The student's likeliest token is the same at ${percent(share)} of the held-out positions.`,
        evidence: {
          entropy: measuredOf(entropy),
          uniform: most,
          topToken: share,
          limit: SAME_TOKEN,
          labels,
          ...(lambda > 0 && { lambda }),
        },
        advice: advice(record, lambda),
        mend: lambda > 0 ? [`loss.lambda=${lambda / 2}`] : [],
      }
    },
  }
}

function advice({ topToken }: EvaluationRecord, lambda: number): string {
  const labels =
    topToken!.labels > 0.5
      ? `Check the labels: ${Math.round(topToken!.labels * 100)} % of them are this very token.`
      : 'Check the labels, and whether the run was long enough.'
  return lambda > 0 ? `Let the labels count for more than the teachers. ${labels}` : labels
}
