import { freemem } from 'node:os'
import {
  badInput,
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
} from '#contract'
import { allTeachers } from '../library'

const MB = 2 ** 20
const FLOAT = 4

/**
 * Most memory of a run, in parts that follow from its shapes. The factors were fitted to the measured peaks of 79 runs
 * (least squares of the relative error, none negative): widths 64 to 384, 2 to 6 layers, vocabularies of 512 to 8192;
 * with up to 3 teachers, native, ONNX files, of another tokenizer and cached; with features and attention maps, retention,
 * micro-batches and checkpointing.
 */
const FACTORS = {
  /** MB: Node, the engine's code, the runtime, graphs of a run. */
  base: 262,
  /** Copies of the student's parameters: weights, moments, gradients, in the buffers of the engine and of the runtime. */
  parameters: 11.25,
  /** Of models that are asked and do not learn: the teachers, and the student's earlier self. */
  frozenParameters: 1.47,
  /** Of a layer's activations, and of its attention scores. */
  activations: 0.62,
  attention: 1.38,
  /** What of both is left when what waits is in half precision (8 more runs). */
  halved: 0.78,
  /** Of a layer of those that do not learn. They are asked in turn: the widest counts. */
  frozenActivations: 2.07,
  /** Tables [tokens, vocabulary] of an evaluation: the student's, and each teacher's with its tokenizer. */
  logits: 10.17,
  teacherLogits: 7.67,
  /** The same of whole batches, for each teacher that is cached: read, decoded, and the next. */
  cachedLogits: 6.76,
  /** What a teacher that is an ONNX file says, in the host's memory. */
  onnxLogits: 1.79,
  /** Of `uld`: the tables of a chunk that is ranked, and [tokens, vocabulary] for each foreign teacher. */
  rankedChunk: 12,
  ranks: 4,
  /** Attention maps that are aligned, of student and teachers. */
  maps: 0.46,
}
/** Layers whose inside exists beside what is kept for the backward pass. */
const AT_WORK = 2

/** Numbers of a chunk that `uld` ranks, at most. */
const RANKED = 1 << 20

/** Most memory that a run's process will have, in MB. */
export function peakMemory(config: RunConfig): number {
  const { experiment, student } = config
  const { batch, context, accumulate, checkpointing } = experiment.train
  const { heads, layers, vocab } = student
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
    FACTORS.logits * tokens * vocab +
    frozenNumbers(config, tokens) +
    teacherTables(config, tokens)
  return Math.round(FACTORS.base + (numbers * FLOAT) / MB)
}

/** Numbers of the models that are asked in a pass of so many tokens. */
function frozenNumbers(config: RunConfig, tokens: number): number {
  const { student, continues, experiment } = config
  const asked: { parameters: number; model: TeacherModel }[] = allTeachers(config)
  const earlier = continues && experiment.continue?.retention
  const own = { parameters: parameterCount(student), model: student }
  // Its earlier self, and its weights as a decoder has them that writes.
  const all = [...asked, ...(earlier ? [own] : []), ...(writes(experiment.train) ? [own] : [])]
  const passes = all.map(({ model }) => {
    if (model.family === 'served') return 0
    return layerSize(model.family === 'onnx' ? guessed(model, student) : model, tokens)
  })
  return (
    FACTORS.frozenParameters * all.reduce((sum, { parameters }) => sum + parameters, 0) +
    FACTORS.frozenActivations * Math.max(0, ...passes)
  )
}

/** Numbers of what the teachers say of so many tokens. */
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
    foreign.length > 0 && loss.foreign.compare === 'uld'
      ? FACTORS.rankedChunk * Math.min(table, RANKED) + FACTORS.ranks * table * foreign.length
      : 0
  const aligned = loss.features !== false && loss.features.gamma > 0 && loss.features.attention !== 'none'
  const maps = [student, ...teachers.map(({ model }) => model)].map((model) =>
    hasLayers(model) ? tokens * context * model.heads * model.layers : 0,
  )
  return (
    FACTORS.teacherLogits * tokens * own +
    (cached ? FACTORS.cachedLogits * train.batch * context * own : 0) +
    FACTORS.onnxLogits * tokens * onnx.reduce((sum, { model }) => sum + model.vocab, 0) +
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
