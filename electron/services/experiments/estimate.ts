import {
  parameterCount,
  writes,
  writtenShare,
  type Estimate,
  type Run,
  type RunConfig,
  type Teacher,
} from '#contract'
import { runBytes } from '../../files'
import { allTeachers } from '../library'
import { peakMemory } from '../memory'
import { askedOf } from './asked'

const MB = 2 ** 20

/** Floating-point operations of one forward pass over `tokens` tokens: 2 a weight and token, and attention. */
function forwardFlops(model: RunConfig['student'], tokens: number, context: number): number {
  // The embedding is looked up, not multiplied; a tied head multiplies the same weights.
  const embedding = model.tied ? 0 : model.vocab * model.width
  return 2 * tokens * (parameterCount(model) - embedding) + 4 * tokens * context * model.width * model.layers
}

/** An ONNX model's: 2 a weight and token, as if it multiplied all. A server's are not computed here. */
function teacherFlops({ model, parameters }: Teacher, tokens: number, context: number): number {
  if (model.family === 'served') return 0
  return model.family === 'onnx' ? 2 * tokens * parameters : forwardFlops(model, tokens, context)
}

/** A run of this machine with what it was: speeds are told from it. */
export interface MeasuredRun {
  config: RunConfig
  row: Run
}

/** A run whose student writes is further from one whose student does not than any work or teachers make it. */
const UNLIKE = 100

/** How many of them speak for a new one: those nearest to it in work and teachers, the latest of equals. */
const NEAREST = 5

/**
 * What a run will cost. Time only once a run was measured here: its start (the process, the models, the first graph),
 * its steps and its evaluations, each as long as with the runs nearest to it.
 *
 * @param cached whether it reads its teachers' outputs from the cache, which others have filled
 */
export function estimateRun(config: RunConfig, measured: readonly MeasuredRun[], cached = false): Estimate {
  const { train } = config.experiment
  const parameters = parameterCount(config.student)
  const { start, steps, evaluations } = partsOf(config, measured, cached) ?? {}
  return {
    parameters,
    tokensPerStep: train.batch * train.context,
    flopsPerStep: stepFlops(config),
    seconds: steps === undefined ? undefined : (start ?? 0) + steps + (evaluations ?? 0),
    memoryMb: peakMemory(config),
    diskMb: Math.round(runBytes(config) / MB),
    ...askedOf(config, measured),
  }
}

/** Seconds of a teacher's passes over all batches of a run; 0 until a run was measured here. */
export function passSeconds(config: RunConfig, teacher: Teacher, measured: readonly MeasuredRun[]): number {
  const { steps, batch, context } = config.experiment.train
  const rate = partsOf(config, measured, false)?.perStepFlop ?? 0
  return steps * teacherFlops(teacher, batch * context, context) * rate
}

function partsOf(wanted: RunConfig, measured: readonly MeasuredRun[], cached: boolean) {
  const config = cached ? withoutTeachers(wanted) : wanted
  const work = stepFlops(config)
  // What a loss takes beside the models is not counted in their work: it comes with teachers.
  const distance = (one: MeasuredRun) =>
    Math.abs(Math.log(stepFlops(computed(one)) / work)) +
    Math.abs(allTeachers(one.config).length - allTeachers(wanted).length) +
    // Nor what decoding takes.
    (writes(one.config.experiment.train) === writes(wanted.experiment.train) ? 0 : UNLIKE)
  const near = measured
    .filter(({ row }) => row.last && row.step)
    .reverse()
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, NEAREST)
  const perStepFlop = median(
    near.map((one) => one.row.last!.seconds / one.row.step / stepFlops(computed(one))),
  )
  if (perStepFlop === undefined) return undefined
  const perEvaluationFlop = median(
    near.flatMap((one) => {
      const { evaluation } = one.row
      return evaluation ? [evaluation.seconds / evaluationFlops(computed(one))] : []
    }),
  )
  return {
    perStepFlop,
    start: median(near.flatMap((one) => startSeconds(one) ?? [])),
    steps: config.experiment.train.steps * work * perStepFlop,
    evaluations: perEvaluationFlop && evaluationCount(config) * evaluationFlops(config) * perEvaluationFlop,
  }
}

/** What of a measured run was neither steps nor evaluations nor its teachers' passes into the cache. */
function startSeconds({ config, row }: MeasuredRun): number | undefined {
  const { startedAt, endedAt, last, evaluation, teacherOutputs } = row
  if (row.status !== 'completed' || !startedAt || !endedAt || !last) return undefined
  const passes = isCached({ config, row }) ? teacherOutputs.reduce((sum, { seconds }) => sum + seconds, 0) : 0
  const evaluated = (evaluation?.seconds ?? 0) * evaluationCount(config)
  return Math.max(0, (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 - last.seconds - passes - evaluated)
}

function evaluationCount({ experiment: { train, evaluate } }: RunConfig): number {
  return evaluate.every ? Math.ceil(train.steps / evaluate.every) : 1
}

/** Of one held-out evaluation: the student's forward passes, and its teachers'. */
function evaluationFlops(config: RunConfig): number {
  const { train, evaluate } = config.experiment
  const tokens = config.corpora.length * evaluate.tokens
  return modelFlops(config, tokens, train.context, 1)
}

/** Three forward passes' worth for the student's forward and backward, one for each teacher. */
function stepFlops(config: RunConfig): number {
  const { batch, context } = config.experiment.train
  return modelFlops(config, batch * context, context, 3) + writingFlops(config)
}

/** A decoded token reads all of the student's weights for itself: it takes as long as so many that are read together. */
const DECODED = 4

/** What the student writes before a step, in the mean. */
function writingFlops({ experiment: { train }, student }: RunConfig): number {
  const { source, batch, context } = train
  if (!writes(train)) return 0
  const sequences = (writtenShare(train) * batch) / source.every
  const tokens = source.prompts.tokens + DECODED * source.tokens
  return forwardFlops(student, sequences * tokens, context)
}

function modelFlops(config: RunConfig, tokens: number, context: number, passes: number): number {
  const own = passes * forwardFlops(config.student, tokens, context)
  return own + allTeachers(config).reduce((sum, t) => sum + teacherFlops(t, tokens, context), 0)
}

/** The same run without its teachers: what is left of one that reads their outputs from the cache. */
const withoutTeachers = (config: RunConfig): RunConfig => ({ ...config, teachers: [], foreign: [] })

function isCached({ config, row }: MeasuredRun): boolean {
  const { mode } = config.experiment.cache
  return mode === 'auto' ? row.autoCache !== 'off' : mode !== 'off'
}

/** What a run's steps computed. */
const computed = (one: MeasuredRun) => (isCached(one) ? withoutTeachers(one.config) : one.config)

function median(values: number[]): number | undefined {
  const sorted = values.sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
