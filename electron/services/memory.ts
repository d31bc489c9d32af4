import { freemem } from 'node:os'
import {
  badInput,
  memoryMendWords,
  outOfMemory,
  parameterCount,
  type MemoryAdvice,
  type RunConfig,
} from '#contract'
import { allTeachers } from './foreign'

const MB = 2 ** 20
const FLOAT = 4

/**
 * Most memory of a run, in parts that follow from its shapes. The factors were fitted to the measured peaks of runs
 * (least squares of the relative error, none negative): widths 32 to 512, 2 to 8 layers, 0 to 3 teachers, vocabularies
 * of 512 to 8192, with micro-batches and with checkpointing.
 */
const FACTORS = {
  /** MB: Node, the engine's code, the runtime, graphs of a run. */
  base: 239,
  /** Copies of the student's parameters: weights, moments, gradients, in the buffers of the engine and of the runtime. */
  parameters: 13.71,
  teacherParameters: 1.14,
  /** Of a layer's activations, and of its attention scores. */
  activations: 0.76,
  attention: 2.08,
  /** Tables [tokens, vocabulary] of an evaluation: the student's, and each teacher's. */
  logits: 10.88,
  teacherLogits: 8.26,
}
/** Layers whose inside exists beside what is kept for the backward pass. */
const AT_WORK = 2

/** Most memory that a run's process will have, in MB. */
export function peakMemory(config: RunConfig): number {
  const { experiment, student } = config
  const teachers = allTeachers(config)
  const { batch, context, accumulate, checkpointing } = experiment.train
  const { width, hidden, heads, layers, vocab } = student
  const tokens = (batch * context) / accumulate
  const layer = tokens * (8 * width + 5 * hidden)
  const scores = tokens * heads * context
  const again = checkpointing === 'layers'
  // Each graph has memory of its own: the first micro-batch's, and the one that adds to its gradients.
  const graphs = accumulate > 1 ? 2 : 1
  const inside = again ? 1 + AT_WORK : layers + AT_WORK
  const kept = again ? tokens * width * layers : 0
  const numbers =
    FACTORS.parameters * parameterCount(student) +
    FACTORS.teacherParameters * teachers.reduce((sum, { parameters }) => sum + parameters, 0) +
    graphs * (FACTORS.activations * (layer * inside + kept) + FACTORS.attention * scores * inside) +
    tokens * vocab * (FACTORS.logits + FACTORS.teacherLogits * teachers.length)
  return Math.round(FACTORS.base + (numbers * FLOAT) / MB)
}

/** MB that a new process may have: the setting, or what the machine or its control group has left. */
export function memoryLimit(settingGb: number): number {
  if (settingGb > 0) return settingGb * 1024
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
