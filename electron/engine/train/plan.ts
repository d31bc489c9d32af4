import {
  drawnWeight,
  drawsSegments,
  readDigest,
  tokenReadingOf,
  type CorpusIndex,
  type RunConfig,
} from '#contract'
import { createBatchPlan, usableDocuments, type BatchPlan, type BatchSource } from '../data/batchPlan'
import { textAs, type CorpusText } from '../data/corpusText'
import { packed, type Place } from '../data/packing'
import { Ahead } from '../data/segments/ahead'
import { SegmentPool } from '../data/segments/pool'
import { SegmentTokens } from '../data/segments/tokens'
import { openTokens, type TokenFile } from '../data/tokenFile'
import { createRandom } from '../random'
import type { Emit } from './runLog'

/** A run's batches, and what makes their tokens beside it. */
export interface OpenedPlan extends BatchPlan {
  /** Of each corpus the tokens to train on, where all of them are there. */
  tokens: readonly (TokenFile | undefined)[]
  close(): Promise<void>
}

type Source = RunConfig['corpora'][number] & {
  /** Tokens to train on; of a corpus that is not tokenized whole, about. */
  count: number
} & (
    | { file: TokenFile; text: CorpusText; packed?: readonly Place[][] }
    | { index: CorpusIndex; tokens: SegmentTokens }
  )

/**
 * The training batches of a run. A corpus without an index is tokenized here where it is not yet; of one with an index
 * the segments that are drawn are, when they are drawn or shortly before.
 */
export async function openBatchPlan(dataDir: string, config: RunConfig, emit: Emit): Promise<OpenedPlan> {
  const { seed, train } = config.experiment
  const { batch, context } = train
  const opened: Source[] = []
  for (const corpus of config.corpora) opened.push(await openSource(dataDir, config, corpus, emit))
  const weights = opened.map(({ weight, count }) => drawnWeight(weight, count, train.mixture))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const dataSeed = train.dataSeed ?? seed
  const sources = opened.map((source, i): BatchSource => {
    const { row, reading = tokenReadingOf(row) } = source
    const about = { name: row.name, weight: weights[i]! }
    if ('text' in source) return { ...about, tokens: source.text, packed: source.packed }
    const { index, tokens } = source
    const pool = new SegmentPool({
      ...{ name: row.name, index, tokens, reading, seed: dataSeed, context },
      at: (segment) => tokens.text.at(segment),
      conversations: row.conversations ?? false,
      sequences: (batch * weights[i]!) / total,
    })
    return { ...about, pool }
  })
  for (const text of epochsText(
    opened.map((source, i) => ({ ...countsOf(source), name: source.row.name, weight: weights[i]! })),
    train,
  ))
    emit({ type: 'log', level: 'info', message: text })
  const pooled = new Map(opened.flatMap((source, i) => ('tokens' in source ? [[i, source.tokens]] : [])))
  const tokens = opened.map((source) => ('file' in source ? source.file : undefined))
  if (!pooled.size)
    return { ...createBatchPlan({ seed: dataSeed, batch, context, sources }), tokens, close: async () => {} }
  const corpora = [...pooled.keys()].map((i): [number, RunConfig['corpora'][number]] => [
    i,
    config.corpora[i]!,
  ])
  const ahead = new Ahead({ dataDir, tokenizer: config.tokenizer, corpora }, pooled, (message) =>
    emit({ type: 'log', level: 'warn', message }),
  )
  const plan = createBatchPlan({
    ...{ seed: dataSeed, batch, context, sources },
    ahead: (source, segment, step) => ahead.ask(source, segment, step),
  })
  const at = (step: number) => {
    ahead.now(step)
    return plan.at(step)
  }
  return { ...plan, at, tokens, close: () => ahead.close() }
}

async function openSource(
  dataDir: string,
  config: RunConfig,
  corpus: RunConfig['corpora'][number],
  emit: Emit,
): Promise<Source> {
  const { index } = corpus.row
  if (index && drawsSegments(config)) {
    const tokens = await SegmentTokens.open(dataDir, corpus, index, config.tokenizer)
    return { ...corpus, index, tokens, count: estimatedTokens(tokens, index) }
  }
  const progress = (phase: string, fraction: number) => emit({ type: 'progress', phase, fraction })
  const { row, reading = tokenReadingOf(row) } = corpus
  const file = await openTokens(dataDir, row, config.tokenizer, 'train', progress, reading.template)
  const text = textAs(file, reading)
  const { context, dataSeed = config.experiment.seed } = config.experiment.train
  warnOfCuts(corpus.row.name, text.documents, context, emit)
  const source = { ...corpus, file, text, count: text.ids.length }
  if (corpus.reading?.packing !== 'packed') return source
  const { name } = corpus.row
  const examples = usableDocuments(name, text, context)
  const sequences = packed(examples, context, createRandom(dataSeed, `packed/${readDigest(corpus)}`))
  emit({ type: 'log', level: 'info', message: packedText(name, examples, sequences.length, context) })
  return { ...source, packed: sequences }
}

/** How many documents share how many sequences, and what that spares. */
export function packedText(
  name: string,
  examples: readonly Place[],
  sequences: number,
  context: number,
): string {
  const tokens = examples.reduce((sum, { start, end }) => sum + end - start - 1, 0)
  const padding = (count: number) => `${count * context - tokens} of ${count * context} tokens`
  return `corpus "${name}" has ${examples.length} documents in ${sequences} sequences: ${padding(sequences)} are padding, with one a sequence ${padding(examples.length)}`
}

/** Segments that are looked at for how many tokens there are. */
const LOOKED_AT = 16

/** How many tokens a corpus' training text has, by that of segments all over it: a function of the text and the tokenizer. */
function estimatedTokens(tokens: SegmentTokens, { segments, bytes }: CorpusIndex): number {
  const seen = { tokens: 0, bytes: 0 }
  for (let i = 0; i < segments && (i < LOOKED_AT || !seen.bytes); i++) {
    const segment = Math.floor(((i + 0.5) * segments) / Math.max(LOOKED_AT, i + 1))
    seen.tokens += tokens.at(segment).length
    seen.bytes += tokens.text.at(segment).trainBytes
  }
  return Math.round((bytes * seen.tokens) / Math.max(1, seen.bytes))
}

/** What epochs are counted by. */
interface Counts {
  tokens: number
  /** That hold all of a corpus that is read by documents. */
  sequences?: number
  about?: boolean
}

function countsOf(source: Source): Counts {
  const { count: tokens } = source
  if ('text' in source) {
    const { packed, text } = source
    const sequences = packed?.length ?? (text.documents && text.documents.length / 2)
    return { tokens, ...(sequences !== undefined && { sequences }) }
  }
  const { packing } = source.reading ?? tokenReadingOf(source.row)
  return { tokens, about: true, ...(packing === 'documents' && { sequences: source.index.documents }) }
}

/** What a run's sequences are of each corpus' training split: its share, and how often all of it is read. */
export function epochsText(
  sources: readonly (Counts & { name: string; weight: number })[],
  { steps, batch, context }: Pick<RunConfig['experiment']['train'], 'steps' | 'batch' | 'context'>,
): string[] {
  const total = sources.reduce((sum, { weight }) => sum + weight, 0)
  return sources.map(({ name, weight, tokens, sequences, about }) => {
    const drawn = (steps * batch * weight) / total
    const epochs = sequences === undefined ? (drawn * context) / tokens : drawn / sequences
    const share = ((100 * weight) / total).toPrecision(3)
    return `corpus "${name}" has ${share} % of the sequences: ${epochs.toPrecision(3)} epochs of its ${about ? 'about ' : ''}${tokens} tokens in ${steps} steps`
  })
}

/** Whoever reads documents whole ought to know that some are not. */
function warnOfCuts(name: string, documents: Int32Array | undefined, context: number, emit: Emit): void {
  if (!documents) return
  const long = documents.filter((end, i) => i % 2 && end - documents[i - 1]! > context + 1).length
  if (!long) return
  const of = documents.length / 2
  const message = `${long} of ${of} documents of corpus "${name}" are longer than ${context} tokens: read to there`
  emit({ type: 'log', level: 'warn', message })
}
