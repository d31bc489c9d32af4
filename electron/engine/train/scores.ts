import { measuredOf, numberOf, type CorpusScore, type EvaluationRecord } from '#contract'
import type { WindowPart } from '../evaluate/windows'

/** Sums over the scored tokens of one batch of windows, in the order the device returns them. */
export const SUMS = ['tokens', 'nll', 'entropy', 'kl', 'klTau', 'agreement'] as const

/**
 * A corpus' score.
 *
 * @param total over its windows: SUMS, alpha of each teacher, sum and weight of each foreign one's distances
 * @param about.tau of the distillation loss
 */
export function scoreOf(
  total: Float64Array,
  about: { corpus: string; bytes: number; tau: number; teachers: number; foreign: number },
): CorpusScore {
  const { corpus, bytes, tau, teachers, foreign } = about
  const sum = (name: (typeof SUMS)[number]) => total[SUMS.indexOf(name)]!
  const tokens = sum('tokens')
  const mean = (name: (typeof SUMS)[number]) => measuredOf(sum(name) / tokens)
  const nll = sum('nll')
  const score: CorpusScore = {
    corpus,
    tokens,
    bytes,
    crossEntropy: mean('nll'),
    perplexity: measuredOf(Math.exp(nll / tokens)),
    bitsPerByte: measuredOf(nll / Math.LN2 / bytes),
  }
  if (foreign) {
    const at = SUMS.length + teachers
    score.foreign = Array.from({ length: foreign }, (_, j) =>
      measuredOf(total[at + 2 * j]! / total[at + 2 * j + 1]!),
    )
  }
  if (!teachers) return score
  return {
    ...score,
    klToFused: mean('kl'),
    distillationLoss: measuredOf((sum('klTau') / tokens) * tau * tau),
    agreement: mean('agreement'),
    alpha: Array.from({ length: teachers }, (_, k) => measuredOf(total[SUMS.length + k]! / tokens)),
  }
}

/** Means over the corpora, each weighed by its scored tokens; bits per byte by its bytes. */
export function means(
  corpora: readonly CorpusScore[],
): Omit<EvaluationRecord, 'split' | 'step' | 'corpora' | 'seconds'> {
  const tokens = corpora.reduce((sum, c) => sum + c.tokens, 0)
  const bytes = corpora.reduce((sum, c) => sum + c.bytes, 0)
  const mean = (key: 'crossEntropy' | 'klToFused' | 'distillationLoss' | 'agreement') =>
    measuredOf(corpora.reduce((sum, c) => sum + numberOf(c[key]) * c.tokens, 0) / tokens)
  const crossEntropy = mean('crossEntropy')
  const own = {
    crossEntropy,
    perplexity: measuredOf(Math.exp(numberOf(crossEntropy))),
    bitsPerByte: measuredOf((numberOf(crossEntropy) * tokens) / Math.LN2 / bytes),
  }
  const foreign = corpora[0]?.foreign?.map((_, j) =>
    measuredOf(corpora.reduce((sum, c) => sum + numberOf(c.foreign![j]) * c.tokens, 0) / tokens),
  )
  const all = { ...own, ...(foreign && { foreign }) }
  if (corpora[0]?.klToFused === undefined) return all
  return {
    ...all,
    klToFused: mean('klToFused'),
    distillationLoss: mean('distillationLoss'),
    agreement: mean('agreement'),
  }
}

/** What the student says of all scored positions: how surely, and which tokens. */
export class Said {
  private entropy = 0
  private tokens = 0
  private readonly likeliest = new Map<number, number>()
  private readonly labels = new Map<number, number>()

  /** @param likeliest token of each position of the part */
  add(entropy: number, likeliest: Float32Array, { weights, targets }: WindowPart): void {
    this.entropy += entropy
    for (const [i, weight] of weights.entries()) {
      if (!weight) continue
      this.tokens++
      count(this.likeliest, likeliest[i]!)
      count(this.labels, targets[i]!)
    }
  }

  figures(): Pick<EvaluationRecord, 'studentEntropy' | 'topToken'> {
    const [top, times] = [...this.likeliest].reduce((a, b) => (b[1] > a[1] ? b : a), [-1, 0])
    const share = (n: number) => (this.tokens ? n / this.tokens : 0)
    return {
      studentEntropy: measuredOf(this.entropy / this.tokens),
      topToken: { share: share(times), labels: share(this.labels.get(top) ?? 0) },
    }
  }
}

const count = (counts: Map<number, number>, token: number) => counts.set(token, (counts.get(token) ?? 0) + 1)
