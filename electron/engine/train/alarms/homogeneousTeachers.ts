import { namedUse, namesOf, type Experiment, type RunConfig } from '#contract'
import type { Detector } from './detector'
import type { TeacherFigures } from './teacherFigures'

/**
 * Mean pairwise KL, nats per token, below which the teachers are taken for one. Seen: 0.004 for a teacher and its echo
 * (logits times 1.05), 0.01 for two training runs of one seed that differ by two steps; 0.10 for two seeds on the same
 * text after 80 steps, 2 for specialists in two domains.
 */
const LIMIT = 0.02
/** Divergences closer than this, as a share, do not tell two teachers apart: the labels do. */
const TIE = 0.1
/** Distance of a mean entropy to log V, as a share of it, of a teacher that knows nothing. */
const NEAR_UNIFORM = 0.02

/** Several teachers that say the same: each but one costs a forward pass a step and adds nothing. */
export function homogeneousTeachers({ experiment, student }: RunConfig): Detector {
  return {
    teachers({ teachers, divergences, tokens }) {
      if (teachers.length < 2) return undefined
      const mean = divergences.flat().reduce((a, b) => a + b) / (teachers.length * (teachers.length - 1))
      if (mean >= LIMIT) return undefined
      const least = leastMissed(experiment, { teachers, divergences })
      const { name } = teachers[least]!
      const blank = teachers.every(({ entropy }) => entropy > (1 - NEAR_UNIFORM) * Math.log(student.vocab))
      return {
        signature: 'homogeneous-teachers',
        step: 0,
        message: `On ${tokens} calibration tokens the teachers differ by a mean pairwise KL of ${mean.toFixed(4)} nats: together they say what one of them says.`,
        evidence: {
          meanDivergence: mean,
          limit: LIMIT,
          divergenceOfDropped: meanToOthers(divergences, least),
          tokens,
        },
        advice: blank
          ? 'All of them guess nearly uniformly: train them first.'
          : `Drop ${name}, whose removal loses least, or take a teacher of another kind.`,
        mend: without(experiment, least, placeOf(experiment, teachers[least]!, least)),
      }
    },
  }
}

/**
 * The teacher whose removal loses least: that with the smallest mean KL to the others; of those that are as near, that
 * with the highest cross-entropy on the labels. One that the student begins with stays.
 */
function leastMissed(
  { student: { init } }: Experiment,
  { teachers, divergences }: Pick<TeacherFigures, 'teachers' | 'divergences'>,
): number {
  const named = typeof init === 'object' ? init.teacher : undefined
  const candidates = teachers
    .map((_, k) => k)
    .filter((k) => teachers[k]!.id !== named && teachers[k]!.name !== named)
  const to = (k: number) => meanToOthers(divergences, k)
  const nearest = Math.min(...candidates.map(to))
  const tied = candidates.filter((k) => to(k) <= nearest * (1 + TIE))
  return tied.reduce((a, b) => (teachers[b]!.crossEntropy > teachers[a]!.crossEntropy ? b : a))
}

/** Mean over the others of the KL from it and to it. */
function meanToOthers(divergences: readonly number[][], k: number): number {
  const both = divergences.flatMap((row, j) => (j === k ? [] : [(row[k]! + divergences[k]![j]!) / 2]))
  return both.reduce((a, b) => a + b) / both.length
}

/** Among the definition's teachers, named or by id, some of which may have another tokenizer and no part in this. */
function placeOf(
  { teachers }: Experiment,
  { id, name }: TeacherFigures['teachers'][number],
  k: number,
): number {
  const place = teachers.findIndex((use) => {
    const written = namedUse(use).name
    return written === name || written === id
  })
  return place < 0 ? k : place
}

/**
 * Settings of the same experiment without teacher k of those with the student's tokenizer, which is at `place` among
 * all: whatever lists the teachers one by one gets shorter, and what was routed to it goes to the first that stays.
 */
export function without({ teachers, weighting, loss }: Experiment, k: number, place = k): string[] {
  const list = (path: string, values: readonly unknown[], at: number) =>
    `${path}=${JSON.stringify(values.filter((_, i) => i !== at))}`
  const settings = [list('teachers', teachers, place)]
  if (weighting.strategy === 'fixed') {
    const left = (weighting.weights ?? []).filter((_, i) => i !== place)
    // All weight was on the one that goes.
    if (left.some((weight) => weight > 0)) settings.push(`weighting.weights=${JSON.stringify(left)}`)
    else settings.push('weighting.strategy=uniform')
  }
  if (weighting.strategy === 'routed') {
    const names = namesOf(teachers)
    const heir = names.find((_, i) => i !== place)!
    const routes = Object.entries(weighting.routes ?? {})
    const left = routes.map(([corpus, name]) => [corpus, name === names[place] ? heir : name])
    settings.push(`weighting.routes=${JSON.stringify(Object.fromEntries(left))}`)
  }
  if (loss.features && Array.isArray(loss.features.beta))
    settings.push(list('loss.features.beta', loss.features.beta, k))
  return settings
}
