import { writes, type RunConfig, type StepRecord, type WrittenFigures } from '#contract'
import type { Detector } from './detector'
import { judgedFrom, percent } from './judged'

/** Steps with writings that are looked at together. */
const WINDOW = 10
/** Share of different 4-grams below which a writing repeats itself, and share of the writings that are empty. */
const DISTINCT = 0.4
const EMPTY = 0.8

/**
 * A student that learns on its own text, and writes the same again and again or nothing at all: it then learns on what
 * it should forget, or on nothing. Judged after the warm-up and the beginning, over the last steps that had writings.
 */
export function collapsedWriting({ experiment }: Pick<RunConfig, 'experiment'>): Detector {
  const { train } = experiment
  if (!writes(train)) return {}
  const from = judgedFrom(train)
  let recent: WrittenFigures[] = []
  return {
    step({ step, written }: StepRecord) {
      if (step <= from || !written) return undefined
      recent = [...recent, written].slice(-WINDOW)
      if (recent.length < WINDOW) return undefined
      const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
      const empty = mean(recent.map((one) => one.empty))
      const known = recent.flatMap((one) => one.distinct ?? [])
      const distinct = known.length ? mean(known) : 1
      if (empty < EMPTY && distinct > DISTINCT) return undefined
      const silent = empty >= EMPTY
      const { share, temperature, kind } = train.source
      return {
        signature: 'collapsed-writing',
        step,
        message: silent
          ? `Over the last ${WINDOW} steps with writings ${percent(empty)} of what the student wrote is empty.`
          : `Over the last ${WINDOW} steps with writings only ${percent(distinct)} of the 4-grams that the student writes are different within a sequence.`,
        evidence: {
          distinct,
          distinctLimit: DISTINCT,
          empty,
          emptyLimit: EMPTY,
          length: mean(recent.map((one) => one.length)),
          ended: mean(recent.map((one) => one.ended)),
          temperature,
        },
        advice:
          'Let more of the text come from the corpora, so that the student learns to write before it learns on what it wrote.',
        mend: kind === 'student' ? ['train.source.kind=mixed'] : [`train.source.share=${share / 2}`],
      }
    },
  }
}
