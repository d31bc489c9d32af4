import type { HeldOutDocument } from '#contract'
import { RunFolder } from '../../store'
import { type Difference, pairedBootstrap, type ScoreUnit, type SeedScores } from '../comparison'
import type { MeasuredCell } from './spread'

/** What a run's last evaluation made of each held-out document. */
export interface DocumentScores {
  /** Digest of the tokenizer: nats per token of different ones do not compare. */
  tokenizer: string
  documents: readonly HeldOutDocument[]
}

/** Comparisons kept: a large grid against a few baselines. */
const KEPT = 2000

/** Bootstraps over the documents of completed runs, whose scores never change: none is done twice. */
export class DocumentBootstrap {
  private readonly known = new Map<string, Difference | undefined>()

  /** @param scoresOf undefined for a run that has none */
  constructor(private readonly scoresOf: (run: string) => DocumentScores | undefined) {}

  static of(dataDir: string): DocumentBootstrap {
    return new DocumentBootstrap((id) => {
      const folder = new RunFolder(dataDir, id)
      const config = folder.config()
      return config && { tokenizer: config.tokenizer.digest, documents: folder.lastEvaluation().documents }
    })
  }

  /**
   * The first cells less the second, or the first alone, by paired bootstrap over their seeds and documents.
   *
   * @returns undefined when a cell has no documents or the two do not compare
   */
  compare(
    first: readonly MeasuredCell[],
    second: readonly MeasuredCell[] | undefined,
    unit: ScoreUnit,
    replicates: number,
  ): Difference | undefined {
    const names = [first, second].map((cells) => cells?.map(({ run }) => run).join() ?? '')
    const key = [...names, unit, replicates].join(' ')
    if (this.known.has(key)) return this.known.get(key)
    if (this.known.size >= KEPT) this.known.clear()
    const found = this.compute(first, second, unit, replicates)
    this.known.set(key, found)
    return found
  }

  private compute(
    first: readonly MeasuredCell[],
    second: readonly MeasuredCell[] | undefined,
    unit: ScoreUnit,
    replicates: number,
  ): Difference | undefined {
    const own = this.seeds(first)
    const other = second && this.seeds(second)
    if (!own || (second && !other)) return undefined
    if (other && unit === 'crossEntropy' && own.tokenizer !== other.tokenizer) return undefined
    // The difference to a model that knows everything is the score itself.
    const nothing = [...own.scores].map(
      ([seed, rows]) => [seed, rows.map((row) => ({ ...row, nll: 0 }))] as const,
    )
    return pairedBootstrap(own.scores, other?.scores ?? new Map(nothing), unit, { replicates })
  }

  /** Undefined unless every cell has scores: a bootstrap over some of the seeds would speak of another mean. */
  private seeds(cells: readonly MeasuredCell[]): { tokenizer: string; scores: SeedScores } | undefined {
    const entries = cells.map(({ seed, run }) => ({ seed, ...this.scoresOf(run) }))
    const [tokenizer, ...rest] = new Set(entries.map((entry) => entry.tokenizer))
    if (tokenizer === undefined || rest.length) return undefined
    if (!entries.every(({ documents }) => documents?.length)) return undefined
    return { tokenizer, scores: new Map(entries.map(({ seed, documents }) => [seed, documents!])) }
  }
}
