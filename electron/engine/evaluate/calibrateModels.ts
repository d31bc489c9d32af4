import {
  badInput,
  calibrationFor,
  type Calibration,
  type CalibrateResult,
  type Corpus,
  type Job,
  type RunConfig,
} from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { loadTokenizer } from '../data/tokenizer'
import type { TextTokenizer } from '../data/textTokenizer'
import { logProbabilities } from '../distill/divergence'
import { labelLogProbabilities } from '../distill/losses'
import { fitTemperature, type LikelihoodAt } from '../distill/temperature'
import { openLanguageModel } from '../model/languageModel'
import type { LogitReader } from '../model/reader'
import type { Progress } from '../progress'
import { openLiveTeacher } from '../teachers/live'
import { heldOutText } from './heldOut'
import { scoringWindows, type WindowBatch } from './windows'

type CalibrateJob = Extract<Job, { kind: 'calibrate' }>
type Mixture = readonly { weight: number; row: Corpus }[]

/** Tokens a run fits its teachers' temperatures on. */
const TOKENS = 4096
const BATCH = 8
const LONGEST = 256

/** Fits each model's temperature on the mixture's calibration split. */
export async function calibrateModels(job: CalibrateJob, progress: Progress): Promise<CalibrateResult> {
  await startBackend(job.backend, { threads: job.threads })
  const calibrations: Calibration[] = []
  for (const [i, ref] of job.models.entries()) {
    progress(`calibrating ${ref.name}`, i / job.models.length)
    const model = await openLanguageModel(ref.folder)
    const tokenizer = await loadTokenizer(job.dataDir, ref.tokenizer)
    const shape = { batch: BATCH, context: Math.min(model.context, LONGEST) }
    const text = { tokenizer: ref.tokenizer, tokens: job.tokens, ...shape }
    const windows = await calibrationWindows(job.dataDir, job.corpora, tokenizer, text)
    const reader = model.reader(shape.context)
    calibrations.push(await calibrate(windows, job.corpora, reader))
    reader.dispose()
    model.dispose()
  }
  return { calibrations }
}

/**
 * The temperatures of a run's teachers on its own mixture: those that the library has, the others fitted now.
 *
 * @param drawn what each corpus is drawn by
 * @throws bad-input when a corpus has no calibration documents
 */
export async function calibrateTeachers(
  dataDir: string,
  config: RunConfig,
  tokenizer: TextTokenizer,
  drawn: readonly number[],
  onFitted: (teacher: string, calibration: Calibration) => void,
): Promise<number[]> {
  const { batch, context } = config.experiment.train
  const corpora = config.corpora.map((corpus, i) => ({ ...corpus, weight: drawn[i]! }))
  const mixture = corpora.map(({ weight, row }) => ({ id: row.id, weight }))
  let windows: WeightedWindow[] | undefined
  const temperatures: number[] = []
  for (const row of config.teachers) {
    // What the library knows is of the teacher in f32, and only that is told to it.
    const exact = row.precision === undefined
    let calibration = exact ? calibrationFor(row, mixture) : undefined
    if (!calibration) {
      const text = { tokenizer: config.tokenizer, tokens: TOKENS, batch, context }
      windows ??= await calibrationWindows(dataDir, corpora, tokenizer, text)
      const source = await openLiveTeacher(dataDir, row, context)
      calibration = await calibrate(windows, corpora, {
        prepare: async (inputs) => source.prepare?.(inputs),
        logits: (tokens) => source.signal(tokens).logits,
      })
      source.dispose()
      if (exact) onFitted(row.id, calibration)
    }
    temperatures.push(calibration.temperature)
  }
  return temperatures
}

/** A batch of windows, and how much each of its tokens counts. */
interface WeightedWindow extends WindowBatch {
  share: number
  shape: [number, number]
}

interface CalibrationText {
  tokenizer: RunConfig['tokenizer']
  tokens: number
  batch: number
  context: number
}

/** Windows over the calibration splits; a corpus counts by its weight, however many tokens it has. */
async function calibrationWindows(
  dataDir: string,
  corpora: Mixture,
  tokenizer: TextTokenizer,
  { tokenizer: row, tokens, batch, context }: CalibrationText,
): Promise<WeightedWindow[]> {
  const sum = corpora.reduce((total, { weight }) => total + weight, 0)
  const windows: WeightedWindow[] = []
  for (const read of corpora) {
    const { row: corpus, weight } = read
    const budget = Math.max(2, Math.round((tokens * weight) / sum))
    const text = await heldOutText(dataDir, read, row, tokenizer, budget, 'calibration')
    const { ids } = text
    if (ids.length < 2) {
      throw badInput(
        `corpus "${corpus.name}" has ${corpus.documents} documents, none of them for calibration`,
        {
          field: 'corpus',
          expected: 'at least 11 documents: every twentieth from the eleventh on is for calibration',
        },
      )
    }
    const own = scoringWindows(ids, { ...text, context, batch, bos: tokenizer.bos })
    const scored = own.reduce((total, window) => total + count(window.weights), 0)
    const share = weight / sum / scored
    windows.push(...own.map((window) => ({ ...window, share, shape: [batch, context] as [number, number] })))
  }
  return windows
}

const count = (weights: Float32Array): number => weights.reduce((total, weight) => total + weight, 0)

async function calibrate(
  windows: readonly WeightedWindow[],
  corpora: Mixture,
  reader: Omit<LogitReader, 'dispose'>,
): Promise<Calibration> {
  const fitted = await fitTemperature(async (inverse) => {
    const total: LikelihoodAt = { nll: 0, slope: 0, curvature: 0 }
    for (const window of windows) {
      await reader.prepare?.(window.inputs)
      const sums = tf.tidy(() => likelihoodSums(window, reader.logits, tf.scalar(inverse)))
      const [nll, slope, curvature] = await sums.data()
      sums.dispose()
      total.nll += nll! * window.share
      total.slope += slope! * window.share
      total.curvature += curvature! * window.share
    }
    return total
  })
  const tokens = windows.reduce((total, window) => total + count(window.weights), 0)
  return { corpora: corpora.map(({ row, weight }) => ({ id: row.id, weight })), tokens, ...fitted }
}

/** Sums over the scored tokens of the likelihood and its derivatives in the inverse temperature, [3]. */
function likelihoodSums(
  { inputs, targets, weights, shape }: WeightedWindow,
  logits: (tokens: tf.Tensor2D) => tf.Tensor2D,
  inverse: tf.Scalar,
): tf.Tensor1D {
  const z = logits(tf.tensor2d(inputs, shape, 'int32'))
  const labels = tf.tensor1d(targets, 'int32')
  const logQ = logProbabilities(tf.mul<tf.Tensor2D>(z, inverse), 1)
  const q = tf.exp(logQ)
  const mean = tf.sum(tf.mul(q, z), -1, true)
  const variance = tf.sum(tf.mul(q, tf.square(tf.sub(z, mean))), -1)
  const slope = tf.sub(tf.reshape(mean, [-1]), labelLogProbabilities(z, labels))
  const parts = [tf.neg(labelLogProbabilities(logQ, labels)), slope, variance]
  const mask = tf.tensor1d(weights)
  return tf.stack(parts.map((part) => tf.sum(tf.mul(part, mask)))) as tf.Tensor1D
}
