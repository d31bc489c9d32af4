import { parameterCount, type Estimate, type Run, type RunConfig, type Teacher } from '#contract'
import { allTeachers } from './foreign'
import { peakMemory } from './memory'

const BYTES = 4
const MB = 2 ** 20

/** Floating-point operations of one forward pass over `tokens` tokens: 2 a weight and token, and attention. */
function forwardFlops(model: RunConfig['student'], tokens: number, context: number): number {
  // The embedding is looked up, not multiplied; a tied head multiplies the same weights.
  const embedding = model.tied ? 0 : model.vocab * model.width
  return 2 * tokens * (parameterCount(model) - embedding) + 4 * tokens * context * model.width * model.layers
}

/** An ONNX model's: 2 a weight and token, as if it multiplied all. */
function teacherFlops({ model, parameters }: Teacher, tokens: number, context: number): number {
  return model.family === 'onnx' ? 2 * tokens * parameters : forwardFlops(model, tokens, context)
}

/** What a run will cost. Time only once a run like it was measured here. */
export function estimateRun(
  config: RunConfig,
  measured: readonly { config: RunConfig; row: Run }[],
): Estimate {
  const { train, evaluate, checkpoint } = config.experiment
  const tokensPerStep = train.batch * train.context
  const parameters = parameterCount(config.student)
  const flopsPerStep = stepFlops(config)
  const secondsPerFlop = median(
    measured.flatMap(({ config: other, row }) =>
      row.last && row.step ? [row.last.seconds / row.step / stepFlops(other)] : [],
    ),
  )
  const evaluations = evaluate.every ? Math.ceil(train.steps / evaluate.every) : 1
  const evaluated = (evaluations * config.corpora.length * evaluate.tokens) / tokensPerStep / 3
  const kept = Math.min(checkpoint.keep, checkpoint.every ? Math.ceil(train.steps / checkpoint.every) : 1) + 1
  return {
    parameters,
    tokensPerStep,
    flopsPerStep,
    seconds: secondsPerFlop && (train.steps + evaluated) * flopsPerStep * secondsPerFlop,
    memoryMb: peakMemory(config),
    diskMb: Math.round((kept * parameters * BYTES * 3) / MB + (train.steps * 400) / MB),
  }
}

/** Three forward passes' worth for the student's forward and backward, one for each teacher. */
function stepFlops(config: RunConfig): number {
  const { experiment, student } = config
  const { batch, context } = experiment.train
  const tokens = batch * context
  const own = 3 * forwardFlops(student, tokens, context)
  return own + allTeachers(config).reduce((sum, t) => sum + teacherFlops(t, tokens, context), 0)
}

function median(values: number[]): number | undefined {
  const sorted = values.sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
