import {
  alignableLayers,
  features,
  longestSequence,
  type Corpus,
  type RunRow,
  type Teacher,
  type Tokenizer,
} from '#contract'
import { stringify } from 'yaml'

export interface StarterLibrary {
  corpora: readonly Corpus[]
  tokenizers: readonly Tokenizer[]
  teachers: readonly Teacher[]
  /** Those that trained teachers tell what text these know. */
  runs: readonly RunRow[]
}

/** More are chosen by hand: each costs a pass over every batch. */
const MOST = 4
const CONTEXT = 128

/**
 * What a new experiment begins with: teachers of the library that share a tokenizer, the text that they know, everything
 * that has no default, and the settings that one changes first. It runs as it is, where the library has what it needs.
 *
 * @param taken names that it cannot have
 */
export function starter(library: StarterLibrary, taken: readonly string[]): string {
  const { teachers, tokenizer } = chosenTeachers(library)
  const corpora = chosenCorpora(library, teachers)
  const context = Math.min(CONTEXT, ...teachers.map(({ model }) => longestSequence(model)))
  const aligned = teachers.length > 0 && teachers.every(showsFeatures)
  const lines = [
    `name: ${inYaml(freeName(nameOf(teachers, corpora), taken))}`,
    corpora.length
      ? `corpus: ${inYaml(mixture(corpora))}`
      : 'corpus: my-text  # the library has none yet: import text on the page Corpora',
    `student: { width: 64, layers: 2, heads: 4, kvHeads: 2, context: ${context} }`,
    `teachers: ${inYaml(teachers.map(({ name }) => name))}${teachers.length ? '' : '  # none: cross-entropy only'}`,
    ...(teachers.length || !tokenizer ? [] : [`tokenizer: ${inYaml(tokenizer.name)}`]),
    'weighting: { strategy: entropy, temperature: 1 }',
    `loss: { lambda: 0.5, tau: 1, features: ${aligned ? '{ gamma: 0.1 }' : 'false'} }`,
    `train: { steps: 400, batch: 16, context: ${context}, learningRate: 0.001, warmup: 40 }`,
    'evaluate: { every: 100, tokens: 20000 }',
    'checkpoint: { every: 100, keep: 2 }',
    'seed: 1',
  ]
  return `${lines.join('\n')}\n`
}

/**
 * What a new teacher begins with: the newest text of the library that no teacher is named after, the newest tokenizer
 * that loses nothing, and a size that is trained in minutes.
 */
export function teacherStarter({ corpora, tokenizers, teachers }: Omit<StarterLibrary, 'runs'>): string {
  const taken = teachers.map(({ name }) => name)
  const nameFor = ({ name }: Corpus) => `${name.slice(0, 100)}-teacher`
  const fresh = newest(corpora).find((corpus) => !taken.includes(nameFor(corpus)))
  const corpus = fresh ?? newest(corpora)[0]
  const tokenizer = newest(tokenizers.filter((row) => row.lossless))[0]
  const lines = [
    `name: ${inYaml(freeName(corpus ? nameFor(corpus) : 'my-teacher', taken))}`,
    corpus ? `corpus: ${inYaml(corpus.name)}` : 'corpus: my-text  # the library has none yet',
    tokenizer
      ? `tokenizer: ${inYaml(tokenizer.name)}`
      : 'tokenizer: my-tokenizer  # the library has none yet',
    'model: { width: 96, layers: 3, heads: 6, context: 256 }',
    `train: { steps: 600, batch: 16, context: ${CONTEXT}, learningRate: 0.001 }`,
    'seed: 7',
  ]
  return `${lines.join('\n')}\n`
}

/** The newest of the largest group that has one lossless tokenizer; without teachers, the newest such tokenizer. */
function chosenTeachers({ teachers, tokenizers }: StarterLibrary): {
  teachers: Teacher[]
  tokenizer?: Tokenizer
} {
  const lossless = newest(tokenizers.filter((row) => row.lossless))
  const groups = lossless.map(({ digest }) => {
    const ids = new Set(tokenizers.filter((row) => row.digest === digest).map(({ id }) => id))
    return newest(teachers.filter((row) => ids.has(row.tokenizer)))
  })
  const largest = groups.reduce((most, group) => (group.length > most.length ? group : most), [])
  return { teachers: largest.slice(0, MOST).reverse(), tokenizer: lossless[0] }
}

/** What the teachers were trained on; where that is not known, the newest corpus. */
function chosenCorpora({ corpora, runs }: StarterLibrary, teachers: readonly Teacher[]): Corpus[] {
  const trained = new Set(teachers.flatMap(({ run }) => run ?? []))
  const known = new Set(
    runs.filter(({ id }) => trained.has(id)).flatMap((run) => run.corpora.map(({ id }) => id)),
  )
  const theirs = newest(corpora.filter(({ id }) => known.has(id)))
  return (theirs.length ? theirs : newest(corpora).slice(0, 1)).slice(0, MOST).reverse()
}

/** One name alone stands for a mixture of one. */
const mixture = (corpora: readonly Corpus[]) =>
  corpora.length === 1 ? corpora[0]!.name : corpora.map(({ name }) => ({ name }))

function showsFeatures(teacher: Teacher): boolean {
  try {
    alignableLayers(teacher, features.parse({}))
    return true
  } catch {
    return false
  }
}

/** By what it does: `cook-on-recipes`, `3-teachers-on-2-corpora`. */
function nameOf(teachers: readonly Teacher[], corpora: readonly Corpus[]): string {
  const taught = teachers.length > 1 ? `${teachers.length}-teachers` : (teachers[0]?.name ?? 'no-teacher')
  const text = corpora.length > 1 ? `${corpora.length}-corpora` : (corpora[0]?.name ?? 'my-text')
  return `${taught}-on-${text}`.slice(0, 100)
}

function freeName(name: string, taken: readonly string[]): string {
  let free = name
  for (let n = 2; taken.includes(free); n++) free = `${name}-${n}`
  return free
}

const newest = <T extends { createdAt: string }>(rows: readonly T[]): T[] =>
  [...rows].sort((a, b) => b.createdAt.localeCompare(a.createdAt))

const inYaml = (value: unknown) => stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
