import {
  experiment,
  layeredModel,
  parameterCount,
  parse,
  SCHEMA_VERSION,
  type ModelConfig,
  type RunConfig,
  type Teacher,
} from '#contract'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/forward'
import { initialise, toTensors } from '../model/weights'
import type { TeacherSource } from '../teachers/source'

/**
 * A run that nothing but a bench has: models of given sizes, no corpus.
 * @param changes of the definition
 */
export function benchConfig(
  student: ModelConfig,
  models: readonly ModelConfig[],
  changes: Record<string, unknown>,
): RunConfig {
  const createdAt = new Date(0).toISOString()
  const digest = '0'.repeat(64)
  const teachers = models.map((model, k) => ({
    id: `teacher-${k}`,
    name: `teacher ${k}`,
    source: 'trained' as const,
    tokenizer: 'bench',
    model,
    parameters: parameterCount(model),
    digest,
    perplexity: {},
    calibrations: [],
    createdAt,
  }))
  const { width, layers, heads, kvHeads, hidden, context } = student
  const definition = {
    name: 'bench',
    corpus: 'bench',
    student: { width, layers, heads, kvHeads, hidden, context },
    teachers: teachers.map((row) => row.name),
    ...changes,
  }
  return {
    schemaVersion: SCHEMA_VERSION,
    id: 'bench',
    name: 'bench',
    kind: 'student',
    method: 'entropy',
    experiment: parse(experiment, definition),
    corpora: [],
    tokenizer: {
      id: 'bench',
      name: 'bench',
      kind: 'bpe',
      vocab: student.vocab,
      digest,
      lossless: true,
      createdAt,
    },
    teachers,
    student,
    createdAt,
  }
}

/** A teacher of fresh weights that is asked each time. */
export function liveTeacher(row: Teacher, k: number, context: number): TeacherSource {
  const model = layeredModel(row)
  const parameters = toTensors(initialise(model, 100 + k))
  const tables = createTables(model, context)
  return {
    row,
    signal: (tokens, options) => forward(model, parameters, tokens, tables, options),
    dispose() {
      tf.dispose([...parameters.values()])
      tables.dispose()
    },
  }
}
