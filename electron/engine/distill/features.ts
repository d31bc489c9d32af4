import { badInput, type Features, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { rowDot } from './divergence'
import { tokenMean } from './losses'

/** Hidden states to align: index 0 is the embedding's output, n the output of layer n. */
export interface LayerPair {
  student: number
  teacher: number
}

/** How many layers a model has, of those that can be seen. */
type Layered = Pick<ModelConfig, 'layers'>

/**
 * The layer pairs of one teacher (METHOD: L_feat). `last`: the last layers. `uniform`: every student layer with the
 * teacher layer at the same relative depth, as TinyBERT and DistilBERT map them. A pair out of range is bad input.
 */
export function layerPairs(
  { layers, embedding = false }: { layers: Features['layers']; embedding?: boolean },
  student: Layered,
  teacher: Layered,
): LayerPair[] {
  const pairs = mappedLayers(layers, student, teacher)
  return embedding && !pairs.some((pair) => pair.student === 0)
    ? [{ student: 0, teacher: 0 }, ...pairs]
    : pairs
}

function mappedLayers(setting: Features['layers'], student: Layered, teacher: Layered): LayerPair[] {
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

/** beta_k for each teacher; `alpha` is its mean weight of the step. */
export function betas(setting: Features['beta'], teachers: number): (number | 'alpha')[] {
  if (!Array.isArray(setting)) return Array.from({ length: teachers }, () => setting)
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
  /** beta_k; no gradient reaches it */
  beta: number | tf.Scalar
  pairs: readonly LayerPair[]
  /** The teacher's hidden states, each [tokens, teacher width]. */
  hidden: readonly tf.Tensor2D[]
  /** W per pair, [teacher width, student width]. */
  projections: readonly tf.Tensor2D[]
  /** The teacher's attention maps by layer, [sequences, heads, time, time] each; where they are aligned. */
  attention?: readonly tf.Tensor4D[]
}

export interface FeatureStates {
  /** [tokens, student width] each */
  hidden: readonly tf.Tensor2D[]
  attention?: readonly tf.Tensor4D[]
}

/**
 * L_feat = sum_k beta_k * mean over pairs and elements of (W_k h_student - h_k)^2; with `cosine` the mean of
 * 1 - cos(W_k h_student, h_k) instead. Attention maps add the mean over the mapped layers of their distance.
 *
 * @param weights of the tokens (`tokenMean`)
 */
export function featureLoss(
  { distance, attention = 'none' }: { distance: Features['distance']; attention?: Features['attention'] },
  student: FeatureStates,
  teachers: readonly FeatureInput[],
  weights?: tf.Tensor2D,
): tf.Scalar {
  const parts: tf.Scalar[] = []
  for (const { beta, pairs, hidden, projections, attention: maps } of teachers) {
    if (beta === 0) continue
    const distances = pairs.map((pair, i): tf.Scalar => {
      const projected: tf.Tensor2D = tf.matMul(student.hidden[pair.student]!, projections[i]!, false, true)
      const target = hidden[pair.teacher]!
      return (distance === 'mse' ? meanSquaredError : cosineDistance)(projected, target, weights)
    })
    parts.push(tf.mul(meanOf(distances), beta))
    const layers = pairs.filter((pair) => pair.student > 0 && pair.teacher > 0)
    if (attention === 'none' || !layers.length) continue
    const between = layers.map((pair) =>
      attentionDistance(attention, student.attention![pair.student - 1]!, maps![pair.teacher - 1]!, weights),
    )
    parts.push(tf.mul(meanOf(between), beta))
  }
  return parts.length ? sumOf(parts) : tf.scalar(0)
}

/**
 * How far a student's attention is from a teacher's: `mse`, as TinyBERT (Jiao et al. 2020) but after the softmax, or
 * `kl`, KL(teacher || student) of each row as MobileBERT (Sun et al. 2020). Where the numbers of heads differ, the
 * heads' mean is compared.
 *
 * @param student [sequences, heads, time, time], rows sum to 1
 * @param weights of the tokens (`tokenMean`): each one's row counts so much
 */
export function attentionDistance(
  kind: 'mse' | 'kl',
  student: tf.Tensor4D,
  teacher: tf.Tensor4D,
  weights?: tf.Tensor2D,
): tf.Scalar {
  const [a, b] = student.shape[1] === teacher.shape[1] ? [student, teacher] : [student, teacher].map(meanHead)
  const [sequences, , time] = student.shape
  const ofRows = weights && tf.reshape(weights, [sequences, 1, time, 1])
  const mean = (distances: tf.Tensor) => tf.mean<tf.Scalar>(ofRows ? tf.mul(distances, ofRows) : distances)
  if (kind === 'mse') return mean(tf.squaredDifference(a!, b!))
  const logs = tf.sub(tf.log(tf.maximum(b!, TINY)), tf.log(tf.maximum(a!, TINY)))
  return mean(tf.sum(tf.mul(b!, logs), -1, true))
}

/** An attention below it counts as it: its logarithm stays finite. */
const TINY = 1e-30

const meanHead = (maps: tf.Tensor4D): tf.Tensor4D => tf.mean(maps, 1, true)

function sumOf(parts: readonly tf.Scalar[]): tf.Scalar {
  return parts.reduce((a, b) => tf.add(a, b))
}

function meanOf(parts: readonly tf.Scalar[]): tf.Scalar {
  return parts.length === 1 ? parts[0]! : tf.div(sumOf(parts), parts.length)
}

/**
 * The mean over all elements of (a - b)^2. Its gradient is given directly, 2 (a - b) / size: autodiff would spread the
 * mean's over a table first.
 *
 * @param b as a; no gradient reaches it
 * @param weights of the rows (`tokenMean`)
 */
export function meanSquaredError(a: tf.Tensor2D, b: tf.Tensor2D, weights?: tf.Tensor2D): tf.Scalar {
  const op = tf.customGrad((x, save) => {
    const difference = tf.sub<tf.Tensor2D>(x as tf.Tensor2D, b)
    const weighed = weights ? tf.mul<tf.Tensor2D>(difference, weights) : difference
    ;(save as tf.GradSaveFunc)([weighed])
    const value = tf.div<tf.Scalar>(tf.sum(rowDot(weighed, difference)), a.size)
    const gradFunc = (dy: tf.Scalar, [d]: tf.Tensor[]) => tf.mul(d!, tf.mul(dy, 2 / a.size))
    return { value, gradFunc }
  })
  return op(a) as tf.Scalar
}

function cosineDistance(a: tf.Tensor2D, b: tf.Tensor2D, weights?: tf.Tensor2D): tf.Scalar {
  const norms = tf.mul(tf.sum(tf.mul(a, a), -1), tf.sum(tf.mul(b, b), -1))
  const cosine = tf.div(tf.sum(tf.mul(a, b), -1), tf.sqrt(tf.add(norms, 1e-12)))
  return weights ? tokenMean(tf.reshape(tf.sub(1, cosine), [-1, 1]), weights) : tf.sub(1, tf.mean(cosine))
}
