import type { Alarm, RunConfig } from '#contract'
import type { Detector } from './detector'
import { percent } from './judged'
import type { TeacherFigures } from './teacherFigures'

/**
 * Expected calibration error from which on a teacher that is too sure is one not to be trusted about itself. Seen:
 * at most 0.10 for specialists on mixtures of which they know a part (demo, studies of real text), 0.24 for
 * stories260K on plays, encyclopedia and web pages, 0.45 for a teacher whose logits were multiplied by 3.
 */
const OVERCONFIDENT = 0.15
/**
 * A short training leaves a teacher unsure of what it knows, 0.10 to 0.24 below its accuracy after 60 to 100 steps. That costs
 * it weight and misleads nobody; one further off has been flattened.
 */
const UNDERCONFIDENT = 0.3
/** Rank correlation of weight and correctness. About 0.1 where entropy weighting works; noise of 2,000 tokens is 0.02. */
const CORRELATION = -0.05

/** Strategies that believe a teacher's own entropy. */
const TRUSTING = ['entropy', 'inverse-entropy', 'calibrated-entropy']

/** A teacher whose confidence is not its accuracy, or weights that go to those who are wrong. */
export function miscalibratedTeacher({ experiment, temperatures }: RunConfig): Detector {
  const { strategy } = experiment.weighting
  const trusting = TRUSTING.includes(strategy)
  const mendable = trusting && !temperatures
  const mend = mendable ? ['weighting.strategy=calibrated-entropy'] : []
  const advice = (name: string) =>
    mendable
      ? 'Calibrated entropy fits a temperature to each teacher before it weighs them.'
      : `Weigh by calibrated entropy, which fits a temperature to each teacher, or leave ${name} out.`
  return {
    teachers(figures) {
      const worst = worstCalibrated(figures)
      if (worst) {
        const { name, ece, confidence, accuracy, limit } = worst
        return raise(
          `On ${figures.tokens} calibration tokens teacher ${name} is right at ${percent(accuracy)} and sure of it by ${percent(confidence)}: its expected calibration error is ${ece.toFixed(3)}.`,
          { ece, limit, accuracy, confidence, tokens: figures.tokens },
          advice(name),
          mend,
        )
      }
      const { weightCorrectness: correlation } = figures
      if (!trusting || figures.teachers.length < 2) return undefined
      if (correlation === null || correlation >= CORRELATION) return undefined
      const { name, weight, accuracy } = favourite(figures)
      return raise(
        `On ${figures.tokens} calibration tokens the weights go to the teachers that are wrong: their rank correlation with correctness is ${correlation.toFixed(3)}; ${name} has a mean weight of ${weight.toFixed(2)} and is right at ${percent(accuracy)}.`,
        { correlation, limit: CORRELATION, weight, accuracy, tokens: figures.tokens },
        advice(name),
        mend,
      )
    },
  }
}

function raise(message: string, evidence: Alarm['evidence'], advice: string, mend: string[]): Alarm {
  return { signature: 'miscalibrated-teacher', step: 0, message, evidence, advice, mend }
}

/** The teacher that is furthest above its limit. */
function worstCalibrated({ teachers }: TeacherFigures) {
  return teachers
    .map((t) => ({ ...t, limit: t.confidence > t.accuracy ? OVERCONFIDENT : UNDERCONFIDENT }))
    .filter(({ ece, limit }) => ece > limit)
    .sort((a, b) => b.ece - b.limit - (a.ece - a.limit))[0]
}

/** The teacher whose share of the weight is furthest above its share of what is right. */
function favourite({ teachers }: TeacherFigures) {
  const right = teachers.reduce((sum, { accuracy }) => sum + accuracy, 0) || 1
  const excess = (t: TeacherFigures['teachers'][number]) => t.weight - t.accuracy / right
  return teachers.reduce((a, b) => (excess(b) > excess(a) ? b : a))
}
