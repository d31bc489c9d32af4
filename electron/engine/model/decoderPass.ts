import { attentionScale, EMBEDDING, HEAD, headSize, LLAMA, windowOf, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { causalAttention } from './attention'
import { embedded, finalOf, wholePass, type Parameters } from './forward'
import { decoderLayer, type LayerPass, type Rotations } from './layer'
import { softCap } from './layers'

/**
 * Tokens that are multiplied with a matrix at a time. Always as many, so that what becomes of a token does not depend
 * on how many others are read with it: ONNX Runtime cuts sums of another width elsewhere, which rounds otherwise.
 */
export const LANES = 32

/** What a pass reads: one new token of each text behind its cache, or the beginnings of texts. */
export interface PassInput {
  /** Texts, padding among them, and tokens of each. Together they are 1, or a multiple of LANES. */
  texts: number
  count: number
  /** [texts * count] */
  ids: Int32Array
  positions: Int32Array
  /** Of each rotary position that the model has, [texts * count, dimensions]. */
  rotations: readonly RotationData[]
  past: Past | Beginning
}

export interface RotationData {
  dimensions: number
  cosine: Float32Array
  sine: Float32Array
}

export interface Past {
  /** Texts that have a cache: the first ones. */
  slots: number
  room: number
  /** Of each layer, [slots, kvHeads, room, head size]. */
  keys: readonly Float32Array[]
  values: readonly Float32Array[]
  /** By window, added to the scores of what is in the cache: [slots, room]. */
  masks: ReadonlyMap<number, Float32Array>
}

export interface Beginning {
  /** The places of the texts' last tokens that are no padding, then any: [1 or LANES]. */
  last: Int32Array
  /** By window, [count, count]. */
  masks: ReadonlyMap<number, tf.Tensor2D>
}

/**
 * The pass as a graph; called inside a tidy.
 *
 * @returns `logits` of what comes after each text's last token, [slots or texts, vocab]; `fresh`, keys and values of the new
 * tokens, [2 * layers * (slots or texts) * kvHeads, count, head size]
 */
export function decoderPass(
  config: ModelConfig,
  parameters: Parameters,
  input: PassInput,
): Map<'logits' | 'fresh', tf.Tensor> {
  const { texts, count, past } = input
  const rotations = rotationsOf(config, input)
  const fresh: tf.Tensor3D[] = []
  const ids = tf.tensor1d(input.ids, 'int32')
  const positions = tf.tensor1d(input.positions, 'int32')
  let x = embedded(config, parameters, ids, positions, count)
  for (let layer = 0; layer < config.layers; layer++) {
    const attend: LayerPass['attend'] =
      'last' in past
        ? (query, key, value) => {
            fresh.push(perHead(key), perHead(value))
            const mask = past.masks.get(windowOf(config, layer))!
            return causalAttention(query, key, value, mask, capOf(config))
          }
        : (query, key, value) => behind(config, layer, past, { query, key, value }, fresh)
    const pass = wholePass(config, parameters, layer, texts, { time: count, rotations }, product)
    x = decoderLayer(config, layer, x, { ...pass, attend })
  }
  const wanted = 'last' in past ? tf.gather<tf.Tensor2D>(x, tf.tensor1d(past.last, 'int32')) : x
  const { normal, cap } = finalOf(config, parameters, wanted)
  const head = parameters.get(config.tied ? EMBEDDING : HEAD) as tf.Tensor2D
  const rows = 'last' in past ? texts : past.slots
  const all = product(normal, head)
  const whole = all.shape[0] === rows && all.shape[1] === config.vocab
  const logits = whole ? all : tf.slice(all, [0, 0], [rows, config.vocab])
  return new Map<'logits' | 'fresh', tf.Tensor>([
    ['logits', softCap(logits, cap)],
    ['fresh', tf.concat(fresh, 0)],
  ])
}

/**
 * x matrix^T, with the matrix as it lies. ONNX Runtime multiplies one row so without a copy of the matrix, and packs
 * the right factor of more: that is to be x, not the matrix (measured at 32 rows: 1.4 to 1.9 times as fast).
 *
 * @param x [1 or a multiple of LANES, in]
 * @param matrix [out, in]
 */
function product(x: tf.Tensor2D, matrix: tf.Tensor2D): tf.Tensor2D {
  const [tokens, width] = x.shape
  const out = matrix.shape[0]
  if (tokens === 1) return tf.matMul(x, matrix, false, true)
  if (tokens === LANES) return tf.transpose(tf.matMul<tf.Tensor2D>(matrix, x, false, true))
  const groups = tf.reshape(x, [tokens / LANES, LANES, width])
  const products = tf.matMul(tf.reshape(matrix, [1, out, width]), groups, false, true)
  return tf.reshape(tf.transpose(products, [0, 2, 1]), [tokens, out])
}

function rotationsOf(config: ModelConfig, { texts, count, rotations }: PassInput): Rotations[] {
  const scale = attentionScale(config, 0)
  return rotations.map(({ dimensions, ...tables }): Rotations => {
    const table = (data: Float32Array) => tf.tensor4d(data, [texts, 1, count, dimensions])
    const key = { cosine: table(tables.cosine), sine: table(tables.sine) }
    return { key, query: { cosine: tf.mul(key.cosine, scale), sine: tf.mul(key.sine, scale) } }
  })
}

/**
 * Attention of one new token of each text over its cache and itself. The new token stands behind the whole room of the
 * cache, a multiple of 64: the sum over the scores then goes in the same order however long the room is.
 *
 * @returns [texts, heads, 1, size]
 */
function behind(
  config: ModelConfig,
  layer: number,
  { slots, room, keys, values, masks }: Past,
  given: { query: tf.Tensor4D; key: tf.Tensor4D; value: tf.Tensor4D },
  fresh: tf.Tensor3D[],
): tf.Tensor4D {
  const { heads, kvHeads } = config
  const [texts] = given.query.shape
  const [size, cap] = [headSize(config), capOf(config)]
  const first = (x: tf.Tensor4D) => (slots === texts ? x : tf.slice(x, [0, 0, 0, 0], [slots, -1, -1, -1]))
  const [key, value] = [perHead(first(given.key)), perHead(first(given.value))]
  fresh.push(key, value)
  // The queries of a key's group in a row: grouped-query attention without repeating keys.
  const query = tf.reshape(first(given.query), [slots * kvHeads, heads / kvHeads, size]) as tf.Tensor3D
  const shape = [slots * kvHeads, room, size] as [number, number, number]
  const mask = tf.tensor3d(masks.get(windowOf(config, layer))!, [slots, 1, room])
  const scores = softCap(over(tf.tensor3d(keys[layer]!, shape), query), cap)
  const masked = tf.reshape(tf.add(tf.reshape(scores, [slots, heads, room]), mask), scores.shape)
  const own = softCap(tf.matMul<tf.Tensor3D>(query, key, false, true), cap)
  const weights = tf.softmax(tf.concat([masked, own], 2)) as tf.Tensor3D
  const [past, now] = tf.split(weights, [room, 1], 2) as [tf.Tensor3D, tf.Tensor3D]
  const mixed = tf.add(tf.matMul(past, tf.tensor3d(values[layer]!, shape)), tf.mul(now, value))
  const each = tf.reshape(mixed, [slots, heads, 1, size]) as tf.Tensor4D
  return slots === texts ? each : tf.concat([each, tf.zeros([texts - slots, heads, 1, size])], 0)
}

/** The scores of queries [n, group, size] over keys [n, room, size], so that no copy of the keys is made. */
function over(keys: tf.Tensor3D, query: tf.Tensor3D): tf.Tensor3D {
  if (query.shape[1] === 1) return tf.matMul(query, keys, false, true)
  return tf.transpose(tf.matMul<tf.Tensor3D>(keys, query, false, true), [0, 2, 1])
}

/** [texts, heads, count, size] to [texts * heads, count, size] */
function perHead(x: tf.Tensor4D): tf.Tensor3D {
  const [texts, heads, count, size] = x.shape
  return tf.reshape(x, [texts * heads, count, size])
}

function capOf({ architecture }: ModelConfig): number | undefined {
  return (architecture ?? LLAMA).attention.cap
}
