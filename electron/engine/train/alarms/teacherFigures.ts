import { numberOf, type RunConfig } from '#contract'
import { tf } from '../../backend/tf'
import { inTurn, type Chunk } from '../../distill/chunks'
import { entropy, logProbabilities, rowDot } from '../../distill/divergence'
import { ownWeighting } from '../../distill/foreign'
import { fuseTeachers } from '../../distill/objective'
import { meanDrawn } from '../../distill/weighting'
import { CALIBRATION_SPLIT } from '../../evaluate/calibrationText'
import { spearman } from '../../evaluate/correlation'
import { calibrationOf, collectTokens, STATISTICS, tokenStatistics } from '../../evaluate/tokenScores'
import { partsOf, type WindowBatch } from '../../evaluate/windows'
import { logitsOf } from '../../teachers/logits'
import { prepareTeachers, type TeacherSource } from '../../teachers/source'
import { chunksFor } from '../chunksFor'
import { countedTokens } from '../counted'

/** What the teachers of a run are worth on its calibration text, as the run is going to use them. */
export interface TeacherFigures {
  tokens: number
  teachers: {
    id: string
    name: string
    /** Top-1 accuracy, mean confidence and expected calibration error (15 bins of equal mass), 0..1. */
    accuracy: number
    confidence: number
    ece: number
    /** Of the labels, nats per token. */
    crossEntropy: number
    /** Nats per token. */
    entropy: number
    /** Mean of alpha. */
    weight: number
  }[]
  /** KL(p_i || p_j), nats per token, [i][j]. */
  divergences: number[][]
  /** Spearman's correlation, over tokens and teachers, of a teacher's weight with its being right; null: undefined. */
  weightCorrectness: number | null
}

/** Rows of a teacher: the statistics, then its entropy, its weight, and KL(p_k || p_j) for every j. */
const ENTROPY = STATISTICS
const WEIGHT = STATISTICS + 1
const DIVERGENCE = STATISTICS + 2

/**
 * One forward pass of the teachers over the windows. Draws nothing and leaves the training as it is.
 *
 * @param drawn what each corpus is drawn by
 */
export async function readTeachers(
  config: RunConfig,
  windows: readonly WindowBatch[],
  teachers: readonly TeacherSource[],
  drawn: readonly number[],
): Promise<TeacherFigures> {
  const { batch, context, accumulate } = config.experiment.train
  const sequences = batch / accumulate
  const parts = partsOf(windows, sequences * context)
  const rows = await collectTokens(
    parts,
    (window) => tokenTable(config, window, sequences, teachers, drawn),
    undefined,
    (i) => prepareTeachers(teachers, parts[i]!.inputs, { split: CALIBRATION_SPLIT, ...parts[i]!.at }),
  )
  const each = DIVERGENCE + teachers.length
  const blocks = teachers.map((_, k) => rows.slice(k * each, (k + 1) * each))
  return {
    tokens: rows[0]?.length ?? 0,
    teachers: teachers.map(({ row }, k) => {
      const block = blocks[k]!
      const { accuracy, ece } = calibrationOf(row.name, block)
      return {
        id: row.id,
        name: row.name,
        accuracy,
        confidence: mean(block[1]!),
        ece: numberOf(ece),
        crossEntropy: -mean(block[0]!),
        entropy: mean(block[ENTROPY]!),
        weight: mean(block[WEIGHT]!),
      }
    }),
    // Rounding takes that of two that say the same below 0.
    divergences: blocks.map((block) => block.slice(DIVERGENCE).map((kl) => Math.max(0, mean(kl)))),
    weightCorrectness: spearman(
      blocks.flatMap((block) => block[WEIGHT]!),
      blocks.flatMap((block) => block[2]!),
    ),
  }
}

/** [(DIVERGENCE + K) * K, tokens] */
function tokenTable(
  config: RunConfig,
  { inputs, targets, weights }: WindowBatch,
  sequences: number,
  teachers: readonly TeacherSource[],
  drawn: readonly number[],
): tf.Tensor2D {
  const { experiment, temperatures } = config
  const { loss, train } = experiment
  const weighting = ownWeighting(config)
  const tokens = tf.tensor2d(inputs, [sequences, train.context], 'int32')
  const signals = teachers.map((teacher) => teacher.signal(tokens))
  const row = (column: tf.Tensor) => tf.reshape(column, [1, -1]) as tf.Tensor2D
  const tableOf = (chunk: Chunk) => {
    const labels = tf.tensor1d(targets.subarray(chunk.from, chunk.from + chunk.size), 'int32')
    const logits = signals.map((signal) => logitsOf(signal, chunk))
    const said = logits.map((z, k) => (temperatures ? tf.div<tf.Tensor2D>(z, temperatures[k]!) : z))
    const logP = said.map((z) => logProbabilities(z, 1))
    // Weights that follow no teacher's word are given by their mean: a window here may hold text of two corpora.
    const known = meanDrawn(experiment, drawn)
    const alpha = known
      ? tf.tile(tf.tensor2d([known]), [labels.size, 1])
      : fuseTeachers(weighting, loss.tau, logits, labels.size / train.context, {
          labels,
          temperatures,
          weights: countedTokens(config, weights, chunk),
        }).alpha
    return tf.concat(
      said.flatMap((z, k) => {
        const own = entropy(logP[k]!)
        const p = tf.exp(logP[k]!)
        return [
          tokenStatistics(z, labels),
          row(own),
          row(tf.slice(alpha, [0, k], [-1, 1])),
          ...logP.map((other) => row(tf.neg(tf.add(own, rowDot(p, other))))),
        ]
      }),
      0,
    )
  }
  const chunks = chunksFor(config, sequences, teachers.length, 0)
  return tf.concat(
    inTurn(chunks, tableOf, (table) => [table]),
    1,
  )
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}
