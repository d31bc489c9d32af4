import {
  badInput,
  chosenLayers,
  tokenReadingOf,
  layeredModel,
  loss,
  SCHEMA_VERSION,
  sharesVocabulary,
  studentArchitecture,
  teacherCache,
  weighting,
  withLayers,
  type Experiment,
  type ModelConfig,
  type ModelSpec,
  type RunConfig,
  type SizedStudent,
  type Teacher,
  type TeacherDefinition,
  type Tokenizer,
} from '#contract'
import type { LibraryRows } from '../context'
import { resolveContinuation } from '../runs'
import { separateTeachers } from '../library'
import { findNamed, freeName, newId } from '../identity'
import { checkFeatures, checkFixedWeights, checkForeignReading, checkSampling, checkServed } from './checks'
import { checkSource } from './source'

/**
 * A definition with every name looked up in the library and every default filled in: what a run's `config.json` holds.
 *
 * @param file for error messages, where the definition came from
 * @throws bad-input naming the field: an unknown name, settings that do not go with teachers of other tokenizers, a run
 *   that cannot be continued
 */
export function resolveExperiment(
  definition: Experiment,
  library: LibraryRows,
  file?: string,
  name?: string,
): RunConfig {
  checkSampling(definition, file)
  const teachers = definition.teachers.map((teacher, i) =>
    findNamed('teacher', library.teachers, teacher, { file, field: `teachers.${i}` }),
  )
  const origin = originOf(definition, library, file)
  const tokenizer = origin?.tokenizer ?? studentTokenizer(definition, teachers, library, file)
  checkFixedWeights(definition, file)
  const { own, foreign } = separateTeachers(definition, teachers, tokenizer, library.tokenizers, file)
  checkFeatures(definition, own, file)
  checkServed(definition, own, file)
  checkSource(definition, own, foreign.length, file)
  const student = origin?.student ?? modelOf(definition.student as SizedStudent, tokenizer)
  const corpora = resolveCorpora(definition.corpus, library, file)
  checkForeignReading(corpora, foreign, file)
  const continues = resolveContinuation(definition, { student, tokenizer, corpora }, library, file)
  const identity = runIdentity(name ?? definition.name, library)
  return {
    schemaVersion: SCHEMA_VERSION,
    ...identity,
    kind: 'student',
    method: methodOf(definition),
    experiment: definition,
    corpora,
    tokenizer,
    teachers: own,
    ...(foreign.length && { foreign }),
    student,
    ...(origin && { origin: origin.row }),
    ...(continues && { continues }),
    createdAt: new Date().toISOString(),
  }
}

/**
 * The model that a student begins as: its sizes, its tokenizer, and which of its layers.
 *
 * @throws bad-input when there is no such model, its layers cannot be read, or others are asked for
 */
function originOf(
  { student: spec, tokenizer: wanted }: Experiment,
  library: LibraryRows,
  file: string | undefined,
): { student: ModelConfig; tokenizer: Tokenizer; row: RunConfig['origin'] } | undefined {
  if (spec.from === undefined) return undefined
  const { id, name, digest, ...teacher } = findNamed('teacher', library.teachers, spec.from, {
    file,
    field: 'student.from',
  })
  const model = layeredModel({ name, model: teacher.model })
  const layers = chosenLayers(spec.layers, model.layers)
  const missing = layers.find((layer) => layer >= model.layers)
  if (missing !== undefined) {
    throw badInput(`model "${name}" has no layer ${missing}`, {
      file,
      field: 'student.layers',
      expected: `numbers from 0 to ${model.layers - 1}`,
    })
  }
  const tokenizer = tokenizerNamed(teacher.tokenizer, library, file)
  if (wanted !== undefined && tokenizerNamed(wanted, library, file).digest !== tokenizer.digest) {
    throw badInput(`the student begins as "${name}", which has the tokenizer "${tokenizer.name}"`, {
      file,
      field: 'tokenizer',
      expected: `"${tokenizer.name}", or none`,
    })
  }
  return { student: withLayers(model, layers), tokenizer, row: { id, name, digest, layers } }
}

/** Of a run by cross-entropy. */
const LEARNS_ALONE = {
  teachers: [] as string[],
  loss: loss.parse({ lambda: 0, features: false }),
  cache: teacherCache.parse({ mode: 'off' }),
}

/** A teacher's training is a run by cross-entropy alone, of kind `teacher`. */
export function resolveTeacher(
  definition: TeacherDefinition,
  library: LibraryRows,
  file?: string,
): RunConfig {
  const { model, ...rest } = definition
  checkSource({ ...LEARNS_ALONE, ...definition }, [], 0, file)
  const tokenizer = tokenizerNamed(definition.tokenizer, library, file)
  return {
    schemaVersion: SCHEMA_VERSION,
    ...runIdentity(definition.name, library),
    kind: 'teacher',
    method: 'cross-entropy',
    experiment: {
      ...rest,
      student: { ...model, init: 'random' },
      ...LEARNS_ALONE,
      weighting: weighting.parse({ strategy: 'uniform' }),
    },
    corpora: resolveCorpora(definition.corpus, library, file),
    tokenizer,
    teachers: [],
    student: modelOf(model, tokenizer),
    createdAt: new Date().toISOString(),
  }
}

function runIdentity(wanted: string, { runs }: LibraryRows): { id: string; name: string } {
  const name = freeName(runs, wanted)
  return { id: newId(name, runs), name }
}

function resolveCorpora(
  mixture: Experiment['corpus'],
  { corpora }: LibraryRows,
  file: string | undefined,
): RunConfig['corpora'] {
  return mixture.map(({ name, weight, ...use }, i) => {
    const field = mixture.length === 1 ? 'corpus' : `corpus.${i}.name`
    const row = findNamed('corpus', corpora, name, { file, field })
    const only = use.loss === 'assistant' ? 'loss' : use.template && 'template'
    if (only && !row.conversations) {
      const expected = 'a corpus of conversations'
      throw badInput(`corpus "${name}" holds text without turns`, {
        file,
        field: `corpus.${i}.${only}`,
        expected,
      })
    }
    const reading = tokenReadingOf(row, use)
    const plain = !row.conversations && reading.packing === 'windows'
    return { weight, row, ...(!plain && { reading }) }
  })
}

/** The definition's tokenizer, or that of the teachers, where they agree. */
function studentTokenizer(
  definition: Experiment,
  teachers: readonly Teacher[],
  library: LibraryRows,
  file: string | undefined,
): Tokenizer {
  if (definition.tokenizer) return tokenizerNamed(definition.tokenizer, library, file)
  const theirs = teachers.flatMap(
    (teacher) => library.tokenizers.find(({ id }) => id === teacher.tokenizer) ?? [],
  )
  const distinct = theirs.filter((row, i) => theirs.findIndex((other) => sharesVocabulary(row, other)) === i)
  if (distinct.length === 1) return distinct[0]!
  const known = distinct.length ? distinct : library.tokenizers
  throw badInput(
    distinct.length
      ? "the teachers have different tokenizers; the student's must be named"
      : 'without teachers the tokenizer must be named',
    {
      file,
      field: 'tokenizer',
      expected: known.map(({ name }) => name).join(', ') || 'a tokenizer; the library has none',
    },
  )
}

/** A tokenizer's name or id, or those of a teacher whose tokenizer is meant. */
function tokenizerNamed(
  name: string,
  { tokenizers, teachers }: LibraryRows,
  file: string | undefined,
): Tokenizer {
  const teacher = teachers.find((row) => row.name === name || row.id === name)
  const known = tokenizers.some((row) => row.name === name || row.id === name)
  return findNamed('tokenizer', tokenizers, known || !teacher ? name : teacher.tokenizer, {
    file,
    field: 'tokenizer',
  })
}

function modelOf(spec: ModelSpec, tokenizer: Tokenizer): ModelConfig {
  const { family, width, layers, heads, kvHeads, hidden, context, tied } = spec
  const own = studentArchitecture(family, { width, heads, layers })
  return {
    family,
    vocab: tokenizer.vocab,
    width,
    layers,
    heads,
    kvHeads,
    hidden,
    context,
    tied,
    ropeBase: 10000,
    normEpsilon: 1e-5,
    ...(own && { architecture: own }),
  }
}

/** The row of METHOD's comparison that a definition is. */
export function methodOf({ method, teachers, loss, weighting }: Experiment): RunConfig['method'] {
  if (method && method !== 'proposed') return method
  const gamma = loss.features === false ? 0 : loss.features.gamma
  if (!teachers.length || (loss.lambda === 0 && gamma === 0)) return 'cross-entropy'
  if (loss.objective !== 'forward-kl') return loss.objective
  return teachers.length === 1 ? 'single-teacher' : weighting.strategy
}
