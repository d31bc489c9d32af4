import { join } from 'node:path'
import {
  numberOf,
  experiment,
  parse,
  SCHEMA_VERSION,
  type ModelConfig,
  type RunConfig,
  type Teacher,
  EMBEDDING,
} from '#contract'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/forward'
import { readHuggingFace } from '../model/huggingface'
import { layoutOf } from '../model/packed'
import { writeModel } from '../model/modelFolder'
import { withVocabulary } from '../model/vocabulary'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import type { TeacherSource } from '../teachers/source'
import { TrainingStep } from './step'
import { Student } from './student'

/** What tests of runs share: the smallest run that has everything. */

/** A student and teachers of another width and depth, small enough for a step in milliseconds. */
export const model: ModelConfig = {
  family: 'llama',
  vocab: 24,
  width: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  hidden: 32,
  context: 8,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}
export const teacherModel: ModelConfig = { ...model, width: 12, layers: 3, kvHeads: 2, hidden: 16 }
const now = '2026-01-01T00:00:00.000Z'

export function runConfig(changes: Record<string, unknown> = {}, teachers = 2): RunConfig {
  const row = (k: number) => ({
    id: `teacher-${k}`,
    name: `teacher ${k}`,
    source: 'trained' as const,
    tokenizer: 'tok',
    model: teacherModel,
    parameters: 1,
    digest: '0'.repeat(64),
    perplexity: {},
    calibrations: [],
    createdAt: now,
  })
  const rows = Array.from({ length: teachers }, (_, k) => row(k))
  const definition = {
    name: 'test',
    corpus: 'text',
    student: { width: 16, layers: 2, heads: 2, kvHeads: 1, hidden: 32, context: 8 },
    teachers: rows.map((r) => r.name),
    train: { steps: 20, batch: 4, context: 8, warmup: 2, learningRate: 0.01 },
    ...changes,
  }
  return {
    schemaVersion: SCHEMA_VERSION,
    id: 'run',
    name: 'test',
    kind: 'student',
    method: 'entropy',
    experiment: parse(experiment, definition),
    corpora: [],
    tokenizer: {
      id: 'tok',
      name: 'tok',
      kind: 'bpe',
      vocab: 24,
      digest: '0'.repeat(64),
      lossless: true,
      createdAt: now,
    },
    teachers: rows,
    student: model,
    createdAt: now,
  }
}

/** @param sharpness scales the logits: fresh weights say nearly the same of every token */
export function teacherSource(config: RunConfig, k: number, seed = 100 + k, sharpness = 1): TeacherSource {
  const weights = initialise(teacherModel, seed)
  const embedding = weights.get(EMBEDDING)!.data
  for (const [i, value] of embedding.entries()) embedding[i] = value * sharpness
  const parameters = toTensors(weights)
  const tables = createTables(teacherModel, config.experiment.train.context)
  return {
    row: config.teachers[k]!,
    signal: (tokens, { positions, ...options } = {}) =>
      forward(teacherModel, parameters, tokens, layoutOf(tables, positions), options),
    dispose: () => tf.dispose([...parameters.values()]),
  }
}

export function batch(step: number, size = 32) {
  const random = createRandom(step, 'test-batch')
  const draw = () => Int32Array.from({ length: size }, () => random.integer(model.vocab))
  return { inputs: draw(), targets: draw(), corpora: new Int32Array(size / model.context) }
}

export async function losses(
  config: RunConfig,
  steps: number,
  seeds = config.teachers.map((_, k) => 100 + k),
  corpora?: Int32Array,
): Promise<number[]> {
  const student = new Student(config)
  const teachers = seeds.map((seed, k) => teacherSource(config, k, seed))
  const step = new TrainingStep(config, student, createTables(model, 8), teachers)
  const result = []
  for (let i = 1; i <= steps; i++)
    result.push(numberOf((await step.run(i, { ...batch(1), ...(corpora && { corpora }) })).loss))
  return result
}

/** One of the shared families' tiny models as a teacher of a library, cut to so many words. */
export async function furnishFamily(
  dataDir: string,
  families: string,
  name: string,
  vocab: number,
): Promise<Teacher> {
  const path = join(families, name)
  const id = `${name}-${vocab}`
  const { config, weights } = readHuggingFace(path)
  const model = withVocabulary(config, vocab, path)
  const digest = await writeModel(join(dataDir, 'library', 'teachers', id), model, weights)
  return { ...runConfig().teachers[0]!, id, name, source: 'huggingface', model, digest }
}
