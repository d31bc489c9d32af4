import {
  badInput,
  chosenLayers,
  Faults,
  layeredModel,
  loss,
  SCHEMA_VERSION,
  studentArchitecture,
  teacherCache,
  together,
  weighting,
  withLayers,
  type Experiment,
  type ModelConfig,
  type ModelSpec,
  type RunConfig,
  type SizedStudent,
  type TeacherDefinition,
  type Tokenizer,
} from '#contract'
import type { LibraryRows } from '../context'
import { resolveContinuation } from '../runs'
import { separateTeachers } from '../library'
import { findNamed, freeName, newId } from '../identity'
import {
  checkFeatures,
  checkFixedWeights,
  checkForeignReading,
  checkPackedReading,
  checkRoutes,
  checkSampling,
  checkServed,
} from './checks'
import { checkSource } from './source'
import { corporaNamed, studentTokenizer, teachersNamed, tokenizerNamed } from './names'

/**
 * A definition with every name looked up in the library and every default filled in: what a run's `config.json` holds.
 *
 * @param file for error messages, where the definition came from
 * @throws bad-input naming the field of everything that is wrong: an unknown name, settings that do not go with teachers
 *   of other tokenizers, a run that cannot be continued
 */
export function resolveExperiment(
  definition: Experiment,
  library: LibraryRows,
  file?: string,
  name?: string,
): RunConfig {
  const faults = new Faults()
  faults.attempt(() => checkSampling(definition, file))
  faults.attempt(() => checkFixedWeights(definition, file))
  faults.attempt(() => checkRoutes(definition, file))
  const teachers = teachersNamed(definition.teachers, library, file, faults)
  const corpora = corporaNamed(definition.corpus, library, file, faults)
  const begun = faults.attempt(() => originOf(definition, library, file))
  const derived = definition.student.from !== undefined
  // Whose tokenizer it is cannot be told without what failed.
  const tokenizer =
    derived || !teachers
      ? begun?.tokenizer
      : faults.attempt(() => studentTokenizer(definition, teachers, library, file))
  if (!teachers || !corpora || !tokenizer) throw together(faults.errors)
  const origin = derived ? begun : undefined
  const student = origin?.student ?? modelOf(definition.student as SizedStudent, tokenizer)
  const separate = () => separateTeachers(definition, teachers, tokenizer, library.tokenizers, file)
  const separated = faults.attempt(separate)
  const { own, foreign } = separated ?? { own: [], foreign: [] }
  if (separated) {
    faults.attempt(() => checkFeatures(definition, own, file))
    faults.attempt(() => checkServed(definition, own, file))
    faults.attempt(() => checkSource(definition, own, foreign.length, file))
    faults.attempt(() => checkForeignReading(corpora, foreign, file))
    faults.attempt(() => checkPackedReading(corpora, own, file))
  }
  const continues = faults.attempt(() =>
    resolveContinuation(definition, { student, tokenizer, corpora }, library, file),
  )
  faults.raise()
  return {
    schemaVersion: SCHEMA_VERSION,
    ...runIdentity(name ?? definition.name, library),
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
  const faults = new Faults()
  faults.attempt(() => checkSource({ ...LEARNS_ALONE, ...definition }, [], 0, file))
  const tokenizer = faults.attempt(() => tokenizerNamed(definition.tokenizer, library, file))
  const corpora = corporaNamed(definition.corpus, library, file, faults)
  if (!tokenizer || !corpora || faults.errors.length) throw together(faults.errors)
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
    corpora,
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
