import {
  measuredOf,
  numberOf,
  type CorpusScore,
  type EvaluationRecord,
  type Measured,
  type RunConfig,
} from '#contract'

interface Continued {
  config: Pick<RunConfig, 'continues'>
  evaluations: readonly EvaluationRecord[]
}

export interface BeforeAndAfter {
  /** The corpus' id. */
  corpus: string
  /** Bits per byte, held-out. */
  before: Measured | null
  after: Measured
}

const scores = ({ corpora, retained = [] }: EvaluationRecord): CorpusScore[] => [...corpora, ...retained]

/** A continued run's scores before its first step and at its last evaluation; undefined while there are not both. */
export function beforeAndAfter({ config, evaluations }: Continued): BeforeAndAfter[] | undefined {
  const [first, last] = [evaluations[0], evaluations.at(-1)]
  if (!config.continues || first?.step !== 0 || !last?.step) return undefined
  return scores(last).map(({ corpus, bitsPerByte }) => ({
    corpus,
    before: scores(first).find((score) => score.corpus === corpus)?.bitsPerByte ?? null,
    after: bitsPerByte,
  }))
}

/**
 * Bits per byte that a continued run has lost, on average, on the corpora that it no longer trains on: after less
 * before, so negative is a gain. Undefined where there are none.
 */
export function forgetting(run: Continued): Measured | undefined {
  const old = new Set(run.config.continues?.corpora.map(({ id }) => id))
  const changes = (beforeAndAfter(run) ?? []).flatMap(({ corpus, before, after }) =>
    old.has(corpus) && before !== null ? [numberOf(after) - numberOf(before)] : [],
  )
  return changes.length ? measuredOf(changes.reduce((a, b) => a + b, 0) / changes.length) : undefined
}
