import {
  numberOf,
  experiment,
  parse,
  SCHEMA_VERSION,
  type EvaluationRecord,
  type HeldOutDocument,
  type RunConfig,
} from '#contract'
import { createRandom } from '../../files'
import { describeRun } from '../../store'
import { methodOf } from '../experiments'
import type { ReportedRun } from './content'

/** What tests of reports share: completed runs of three settings over three seeds. */

export const now = '2026-01-01T00:00:00.000Z'
const digest = '0'.repeat(64)
export const corpus = {
  id: 'plays',
  name: 'plays',
  format: 'text' as const,
  source: 'here',
  bytes: 1,
  documents: 1,
  heldOutDocuments: 1,
  digest,
  sample: '',
  createdAt: now,
}
export const tokenizer = {
  id: 'tok',
  name: 'tok',
  kind: 'bpe' as const,
  vocab: 300,
  digest,
  lossless: true,
  createdAt: now,
}

/** A completed run whose documents cost about `nll` nats per token. */
export function run(name: string, seed: number, nll: number, teachers: string[] = []): ReportedRun {
  const definition = parse(experiment, {
    name: `${name}, seed ${seed}`,
    corpus: 'plays',
    tokenizer: 'tok',
    student: { width: 16, layers: 1, heads: 2 },
    teachers,
    seed,
  })
  const random = createRandom(seed, name)
  const documents: HeldOutDocument[] = Array.from({ length: 30 }, (_, document) => {
    const hard = 0.5 * createRandom(document, 'difficulty').normal()
    const tokens = 100
    return {
      corpus: 'plays',
      document,
      tokens,
      bytes: 200,
      nll: tokens * (nll + hard + 0.02 * random.normal()),
    }
  })
  const crossEntropy = documents.reduce((sum, d) => sum + numberOf(d.nll) / d.tokens, 0) / documents.length
  const perplexity = Math.exp(crossEntropy)
  const bitsPerByte = crossEntropy / 2 / Math.LN2
  const score = { corpus: 'plays', tokens: 3000, bytes: 6000, crossEntropy, perplexity, bitsPerByte }
  const evaluation: EvaluationRecord = {
    split: 'held-out',
    step: 400,
    crossEntropy,
    perplexity,
    bitsPerByte,
    corpora: [score],
    ece: 0.05,
    brier: 0.8,
    seconds: 1,
  }
  const config: RunConfig = {
    schemaVersion: SCHEMA_VERSION,
    id: `${name}-${seed}`.replaceAll(' ', '-'),
    name: definition.name,
    kind: 'student',
    method: methodOf(definition),
    experiment: definition,
    corpora: [{ weight: 1, row: corpus }],
    tokenizer,
    teachers: [],
    student: {
      ...definition.student,
      vocab: 300,
      ropeBase: 10000,
      normEpsilon: 1e-5,
    } as RunConfig['student'],
    createdAt: now,
  }
  delete (config.student as Record<string, unknown>)['init']
  const bins = [
    { count: 10, confidence: 0.2, accuracy: 0.25 },
    { count: 10, confidence: 0.8, accuracy: 0.7 },
  ]
  const calibration = [{ model: 'student', accuracy: 0.4, ece: 0.05, brier: 0.8, bins }]
  const row = {
    ...describeRun(config),
    teachers: teachers.map((id) => ({ id, name: id })),
    status: 'completed' as const,
    step: 400,
    evaluation,
  }
  return {
    row,
    config,
    steps: [],
    speed: undefined,
    evaluations: [evaluation],
    documents,
    detail: { step: 400, calibration, continuations: [] },
  }
}

export const seeds = [1, 2, 3]
export const better = seeds.map((seed) => run('better', seed, 2.9, ['a']))
export const plain = seeds.map((seed) => run('plain', seed, 3))
export const twin = seeds.map((seed) => run('twin', seed, 3.0001, ['b']))
export const library = { teachers: [], scores: [] }
export const all = [...better, ...plain, ...twin]
