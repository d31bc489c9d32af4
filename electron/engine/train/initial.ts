import {
  badInput,
  hasLayers,
  layeredModel,
  type ModelConfig,
  type RunConfig,
  type StudentInit,
  type Teacher,
  type TeacherModel,
  EMBEDDING,
  HEAD,
  layerWeight,
  layerWeights,
  sameLayers,
  weightShapes,
} from '#contract'
import { readTeacher } from '../model/modelFolder'
import { initialise, type Weights, type Weight } from '../model/weights'

export interface Initial {
  weights: Weights
  /** Where they come from, for the run's log. */
  note: string
}

/**
 * The student's first weights as `student.init` says. What has no counterpart in the teacher is drawn from the seed.
 *
 * @throws bad-input when a teacher that is named is not the run's or does not have the student's shapes
 */
export async function initialWeights(dataDir: string, config: RunConfig): Promise<Initial> {
  const { experiment, student, teachers, origin } = config
  const drawn = () => initialise(student, experiment.seed)
  if (origin) {
    const { weights } = await readTeacher(dataDir, origin)
    const note = `layers ${origin.layers.join(', ')} (from 0) of "${origin.name}"`
    return { weights: copied(student, drawn(), weights, origin.layers), note }
  }
  const { init = 'random' } = experiment.student
  if (init === 'random') return { weights: drawn(), note: `random, seed ${experiment.seed}` }
  const teacher =
    init === 'teacher' ? teachers.find((row) => !misfit(student, row.model)) : named(init, config)
  if (!teacher) {
    return {
      weights: drawn(),
      note: `random, seed ${experiment.seed}: no teacher has the student's width, heads and feed-forward width and as many layers`,
    }
  }
  const layers = chooseLayers(init, student.layers, layeredModel(teacher).layers)
  const { weights } = await readTeacher(dataDir, teacher)
  const fromZero = layers.map((layer) => layer - 1)
  return {
    weights: copied(student, drawn(), weights, fromZero),
    note: `layers ${layers.join(', ')} of teacher "${teacher.name}"`,
  }
}

function named(
  { teacher: name, layers }: Exclude<StudentInit, string>,
  { teachers, student }: RunConfig,
): Teacher {
  const teacher = teachers.find((row) => row.name === name || row.id === name)
  if (!teacher) {
    throw badInput(`"${name}" is not one of this run's teachers`, {
      field: 'student.init.teacher',
      expected: teachers.map((row) => row.name).join(', ') || 'no init from a teacher, as there is none',
    })
  }
  const why = misfit(student, teacher.model)
  if (why || !hasLayers(teacher.model))
    throw badInput(`teacher "${name}" does not fit: ${why}`, { field: 'student.init.teacher' })
  if (Array.isArray(layers)) {
    const { layers: most } = teacher.model
    const wrong = layers.find((layer) => layer > most)
    if (wrong !== undefined || layers.length !== student.layers) {
      throw badInput(
        wrong === undefined
          ? `${layers.length} layers for a student of ${student.layers}`
          : `there is no layer ${wrong}`,
        {
          field: 'student.init.layers',
          expected: `${student.layers} numbers from 1 to ${most}`,
        },
      )
    }
  }
  return teacher
}

/** What keeps a teacher's layers from being the student's; undefined when nothing does. */
function misfit(student: ModelConfig, teacher: TeacherModel): string | undefined {
  if (teacher.family === 'onnx') return 'it is an ONNX model, whose layers cannot be read'
  if (teacher.family === 'served') return 'it is behind a server, and its layers cannot be read'
  for (const key of ['width', 'heads', 'kvHeads', 'hidden'] as const) {
    if (student[key] !== teacher[key]) return `its ${key} is ${teacher[key]}, the student's ${student[key]}`
  }
  if (student.family !== teacher.family || !sameLayers(student, teacher))
    return `it is of the family ${teacher.family}, whose layers compute something else than the student's`
  if (student.layers > teacher.layers) return `it has ${teacher.layers} layers, the student ${student.layers}`
  return undefined
}

/** Layer numbers from 1. `every-other` spreads them evenly and takes the last always. */
export function chooseLayers(
  init: Exclude<StudentInit, 'random'>,
  student: number,
  teacher: number,
): number[] {
  const choice = init === 'teacher' ? 'every-other' : init.layers
  if (Array.isArray(choice)) return choice
  const numbers = Array.from({ length: student }, (_, i) => i + 1)
  return choice === 'first' ? numbers : numbers.map((n) => Math.round((n * teacher) / student))
}

function copied(student: ModelConfig, drawn: Weights, teacher: Weights, layers: readonly number[]): Weights {
  const sources = new Map([...weightShapes(student).keys()].map((name) => [name, name]))
  for (const [i, layer] of layers.entries()) {
    for (const which of Object.keys(layerWeights) as (keyof typeof layerWeights)[])
      sources.set(layerWeight(i, which), layerWeight(layer, which))
  }
  // A tied teacher's head is its embedding.
  if (!student.tied && !teacher.has(HEAD)) sources.set(HEAD, EMBEDDING)
  const weights: Weights = new Map()
  for (const [name, random] of drawn)
    weights.set(name, rowsOf(teacher.get(sources.get(name)!), random.shape) ?? random)
  return weights
}

/** A table's first rows, as many as the shape has: of positions, or of ids. */
function rowsOf(found: Weight | undefined, shape: number[]): Weight | undefined {
  if (!found || found.shape.join() === shape.join()) return found
  const [rows, ...rest] = found.shape
  if (rest.join() !== shape.slice(1).join() || rows! < shape[0]!) return undefined
  return {
    ...found,
    shape,
    data: found.data.slice(
      0,
      shape.reduce((a, b) => a * b, 1),
    ),
  }
}
