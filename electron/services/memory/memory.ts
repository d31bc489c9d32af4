import { freemem } from 'node:os'
import {
  badInput,
  comparedTokens,
  hasLayers,
  memoryMendWords,
  outOfMemory,
  parameterCount,
  trainedParameters,
  writes,
  type MemoryAdvice,
  type ModelConfig,
  type OnnxModelConfig,
  type RunConfig,
  type TeacherModel,
  windowsOf,
} from '#contract'
import { allTeachers } from '../library'

const MB = 2 ** 20
const FLOAT = 4

/**
 * Most memory of a run, in parts that follow from its shapes. The factors were fitted to the measured peaks of 51 runs
 * (least squares of the relative error, none negative; the furthest is 9 % away): widths 64 to 384, 2 to 6 layers,
 * vocabularies of 320 to 50,280, teachers of up to 135 M parameters; with up to 3 teachers, native, ONNX files, of another
 * tokenizer and cached; with features and attention maps, retention, micro-batches and checkpointing.
 */
const FACTORS = {
  /** MB: Node, the engine's code, the runtime, graphs of a run. */
  base: 251,
  /** Copies of the student's parameters: weights, moments, gradients, in the buffers of the engine and of the runtime. */
  parameters: 9.91,
  /** Of models that are asked and do not learn: the teachers, and the student's earlier self. */
  frozenParameters: 1.23,
  /** Of a layer's activations, and of its attention scores. */
  activations: 0.69,
  attention: 1.69,
  /** What of both is left when what waits is in half precision (8 more runs). */
  halved: 0.78,
  /** Of a layer of those that do not learn. They are asked in turn: the widest counts. */
  frozenActivations: 1.62,
  /** Tables [tokens, vocabulary] of a chunk: the student's, and each teacher's with its tokenizer. */
  logits: 13.73,
  teacherLogits: 10.56,
  /** The same of whole batches, for each teacher whose logits are cached: read, decoded, and the next. */
  cachedLogits: 6.38,
  /** What a teacher says of a whole batch that is an ONNX file, or has another tokenizer. */
  onnxLogits: 3.86,
  foreignLogits: 3.47,
  /** Of `uld`: tables [tokens, vocabulary] of the student's for each foreign teacher. */
  ranks: 10.05,
  /** Attention maps that are aligned, of student and teachers. */
  maps: 1.06,
}
/** Of a matrix in 8 bits, what it takes in f32. */
const EIGHT_BITS = 0.25
/** Layers whose inside exists beside what is kept for the backward pass. */
const AT_WORK = 2

/** Most memory that a run's process will have, in MB. */
export function peakMemory(config: RunConfig): number {
  const { experiment, student } = config
  const { batch, context, accumulate, checkpointing } = experiment.train
  const { heads, layers } = student
  const tokens = (batch * context) / accumulate
  const { lora } = experiment.student
  const trained = trainedParameters(student, lora)
  const layer = layerSize(student, tokens)
  const scores = tokens * heads * context
  const again = checkpointing === 'layers'
  const inside = again ? 1 + AT_WORK : layers + AT_WORK
  const kept = again ? tokens * student.width * layers : 0
  const waiting = FACTORS.activations * (layer * inside + kept) + FACTORS.attention * scores * inside
  const numbers =
    FACTORS.parameters * trained +
    FACTORS.frozenParameters * (parameterCount(student) - (lora ? 0 : trained)) +
    waiting * (experiment.train.precision === 'f16' ? FACTORS.halved : 1) +
    chunkTables(config) +
    packedMasks(config, tokens) +
    frozenNumbers(config, tokens) +
    teacherTables(config, tokens)
  return Math.round(FACTORS.base + (numbers * FLOAT) / MB)
}

/** Of packed examples each sequence has masks of its own, and what they are made of. */
function packedMasks({ student, experiment }: RunConfig, tokens: number): number {
  if (!experiment.corpus.some(({ packing }) => packing === 'packed')) return 0
  return 3 * tokens * experiment.train.context * windowsOf(student).size
}

/** Numbers of the models that are asked in a pass of so many tokens. */
function frozenNumbers(config: RunConfig, tokens: number): number {
  const { student, continues, experiment } = config
  const asked = allTeachers(config)
  const earlier = continues && experiment.continue?.retention
  const own = { parameters: parameterCount(student), model: student }
  // Its earlier self, and its weights as a decoder has them that writes.
  const all: { parameters: number; model: TeacherModel }[] = [
    ...asked,
    ...(earlier ? [own] : []),
    ...(writes(experiment.train) ? [own] : []),
  ]
  const passes = all.map(({ model }) => {
    if (model.family === 'served') return 0
    return layerSize(model.family === 'onnx' ? guessed(model, student) : model, tokens)
  })
  const small = asked.filter(({ precision }) => precision === 'int8')
  const whole = all.reduce((sum, { parameters }) => sum + parameters, 0)
  const saved = (1 - EIGHT_BITS) * small.reduce((sum, { parameters }) => sum + parameters, 0)
  // One after the other is read in f32 first.
  const reading = (1 - EIGHT_BITS) * Math.max(0, ...small.map(({ parameters }) => parameters))
  return (
    FACTORS.frozenParameters * (whole - saved + reading) + FACTORS.frozenActivations * Math.max(0, ...passes)
  )
}

/** Numbers of the tables that exist while a chunk is worked on: of the student, its earlier self and its teachers. */
function chunkTables(config: RunConfig): number {
  const { experiment, student, teachers, foreign = [], continues } = config
  const { batch, accumulate } = experiment.train
  const said = teachers.length + (continues && experiment.continue?.retention ? 1 : 0)
  const size = comparedTokens(config, batch / accumulate, teachers.length, foreign.length)
  return (FACTORS.logits + FACTORS.teacherLogits * said) * size * student.vocab
}

/** Numbers of what the teachers say of so many tokens, whole. */
function teacherTables(config: RunConfig, tokens: number): number {
  const { experiment, student, teachers, foreign = [] } = config
  const { train, cache, loss } = experiment
  const { context } = train
  const own = teachers.length * student.vocab
  const served = teachers.some(({ model }) => model.family === 'served')
  const cached = served || (cache.mode !== 'off' && cache.mode !== 'auto' && cache.mode !== 'states')
  const onnx = allTeachers(config).filter(({ model }) => model.family === 'onnx')
  const table = tokens * student.vocab
  const ranks =
    foreign.length > 0 && loss.foreign.compare === 'uld' ? FACTORS.ranks * table * foreign.length : 0
  const aligned = loss.features !== false && loss.features.gamma > 0 && loss.features.attention !== 'none'
  const maps = [student, ...teachers.map(({ model }) => model)].map((model) =>
    hasLayers(model) ? tokens * context * model.heads * model.layers : 0,
  )
  return (
    (cached ? FACTORS.cachedLogits * train.batch * context * own : 0) +
    FACTORS.onnxLogits * tokens * onnx.reduce((sum, { model }) => sum + model.vocab, 0) +
    FACTORS.foreignLogits * tokens * foreign.reduce((sum, { row }) => sum + row.model.vocab, 0) +
    ranks +
    (aligned ? FACTORS.maps * maps.reduce((a, b) => a + b, 0) : 0)
  )
}

/** An ONNX model's layers, of which its hidden states tell at most the width: else they are taken for the student's. */
function guessed({ hidden }: OnnxModelConfig, student: ModelConfig): LayerShape {
  return hidden ? { width: hidden.width, hidden: (8 / 3) * hidden.width } : student
}

type LayerShape = Pick<ModelConfig, 'width' | 'hidden'>

/** Activations of a layer. */
function layerSize({ width, hidden }: LayerShape, tokens: number): number {
  return tokens * (8 * width + 5 * hidden)
}

/** MB that a new process may have: the setting, or what the machine or its control group has left. */
export function memoryLimit(settingGb: number): number {
  if (settingGb > 0) return Math.round(settingGb * 1024)
  const { availableMemory } = process as { availableMemory?: () => number }
  return Math.floor((availableMemory?.() ?? freemem()) / MB)
}

/** Why a run does not fit, and the fewest micro-batches with which it would; undefined when it fits. */
export function memoryAdvice(config: RunConfig, limitMb: number): MemoryAdvice | undefined {
  const needMb = peakMemory(config)
  if (needMb <= limitMb) return undefined
  const { mend = [], memoryMb } = fitting(config, limitMb) ?? {}
  const shortage = { step: 0, message: '', mend }
  return { needMb, limitMb, mend, memoryMb, advice: outOfMemory(config, shortage).advice }
}

/** The first of smaller micro-batches, and then of those with layers computed again, that needs no more. */
function fitting(config: RunConfig, limitMb: number): { mend: string[]; memoryMb: number } | undefined {
  const { experiment } = config
  const { batch, accumulate: now, checkpointing: before } = experiment.train
  const parts = Array.from({ length: batch - now + 1 }, (_, i) => now + i).filter((n) => batch % n === 0)
  for (const checkpointing of before === 'none' ? (['none', 'layers'] as const) : [before]) {
    for (const accumulate of parts) {
      const train = { ...experiment.train, accumulate, checkpointing }
      const memoryMb = peakMemory({ ...config, experiment: { ...experiment, train } })
      if (memoryMb > limitMb) continue
      const mend = [
        ...(accumulate === now ? [] : [`train.accumulate=${accumulate}`]),
        ...(checkpointing === before ? [] : [`train.checkpointing=${checkpointing}`]),
      ]
      return { mend, memoryMb }
    }
  }
  return undefined
}

/**
 * @param where the file it is from, and what it is called
 * @throws bad-input when a run would need more memory than it may have, with what would fit
 */
export function checkMemory(
  config: RunConfig,
  limitMb: number,
  { file, what = 'the run' }: { file?: string; what?: string } = {},
): void {
  const advice = memoryAdvice(config, limitMb)
  if (!advice) return
  const { mend, memoryMb, needMb } = advice
  const words = memoryMendWords(mend, config.experiment.train)
  throw badInput(`${what} needs about ${needMb} MB of memory, ${limitMb} MB can be had`, {
    file,
    field: mend[0]?.split('=')[0] ?? 'train.batch',
    expected: memoryMb === undefined ? words : `${words}, about ${memoryMb} MB`,
  })
}

/** The one whose process will need the most memory. */
export function largestOf<Cell extends { config: RunConfig }>(cells: readonly Cell[]): Cell | undefined {
  const needs = cells.map(({ config }) => peakMemory(config))
  return cells[needs.indexOf(Math.max(...needs))]
}

/** @throws bad-input, as `checkMemory`, of the one that needs the most of runs that follow each other */
export function checkLargest(configs: readonly RunConfig[], limitMb: number): void {
  const largest = largestOf(configs.map((config) => ({ config })))?.config
  if (largest) checkMemory(largest, limitMb, { what: `the run "${largest.name}"` })
}
