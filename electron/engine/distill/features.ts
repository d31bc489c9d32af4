import { badInput, type Features, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'

/** Hidden states to align: index 0 is the embedding's output, n the output of layer n. */
export interface LayerPair {
  student: number
  teacher: number
}

/**
 * The layer pairs of one teacher (METHOD: L_feat). `last`: the last layers. `uniform`: every student layer with the
 * teacher layer at the same relative depth, as TinyBERT and DistilBERT map them. A pair out of range is bad input.
 */
export function layerPairs(
  setting: Features['layers'],
  student: ModelConfig,
  teacher: ModelConfig,
): LayerPair[] {
  if (setting === 'last') return [{ student: student.layers, teacher: teacher.layers }]
  if (setting === 'uniform') {
    return Array.from({ length: student.layers }, (_, i) => ({
      student: i + 1,
      teacher: Math.max(1, Math.round(((i + 1) * teacher.layers) / student.layers)),
    }))
  }
  for (const [i, pair] of setting.entries()) {
    checkLayer(`loss.features.layers.${i}.student`, pair.student, student.layers)
    checkLayer(`loss.features.layers.${i}.teacher`, pair.teacher, teacher.layers)
  }
  return setting
}

function checkLayer(field: string, layer: number, layers: number): void {
  if (layer > layers) {
    throw badInput(`there is no layer ${layer}`, { field, expected: `0 (the embedding) to ${layers}` })
  }
}

/** beta_k for each teacher. */
export function betas(setting: Features['beta'], teachers: number): number[] {
  if (typeof setting === 'number') return Array.from({ length: teachers }, () => setting)
  if (setting.length === teachers) return setting
  throw badInput(`${setting.length} values for ${teachers} teachers`, {
    field: 'loss.features.beta',
    expected: 'one number, or one for each teacher',
  })
}

/** Name of the learned linear map W of a teacher and one of its layer pairs. */
export function projectionName(teacher: number, pair: number): string {
  return `projection.${teacher}.${pair}.weight`
}

export interface FeatureInput {
  /** beta_k */
  beta: number
  pairs: readonly LayerPair[]
  /** The teacher's hidden states, each [tokens, teacher width]. */
  hidden: readonly tf.Tensor2D[]
  /** W per pair, [teacher width, student width]. */
  projections: readonly tf.Tensor2D[]
}

/**
 * L_feat = sum_k beta_k * mean over pairs and elements of (W_k h_student - h_k)^2; with `cosine` the mean of
 * 1 - cos(W_k h_student, h_k) instead.
 *
 * @param student the student's hidden states, each [tokens, student width]
 */
export function featureLoss(
  distance: Features['distance'],
  student: readonly tf.Tensor2D[],
  teachers: readonly FeatureInput[],
): tf.Scalar {
  const parts: tf.Scalar[] = []
  for (const { beta, pairs, hidden, projections } of teachers) {
    if (beta === 0) continue
    for (const [i, pair] of pairs.entries()) {
      const projected: tf.Tensor2D = tf.matMul(student[pair.student]!, projections[i]!, false, true)
      const target = hidden[pair.teacher]!
      const d = distance === 'mse' ? meanSquaredError(projected, target) : cosineDistance(projected, target)
      parts.push(tf.mul(d, beta / pairs.length))
    }
  }
  return parts.length ? parts.reduce((a, b) => tf.add(a, b)) : tf.scalar(0)
}

function meanSquaredError(a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar {
  return tf.mean(tf.squaredDifference(a, b))
}

function cosineDistance(a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar {
  const norms = tf.mul(tf.sum(tf.mul(a, a), -1), tf.sum(tf.mul(b, b), -1))
  const cosine = tf.div(tf.sum(tf.mul(a, b), -1), tf.sqrt(tf.add(norms, 1e-12)))
  return tf.sub(1, tf.mean(cosine))
}
