import type { ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { rmsNorm, swish } from './layers'
import { EMBEDDING, FINAL_NORM, HEAD, layerWeight, type LayerWeight } from './weights'

/** What a forward pass over sequences of one length needs beside the weights: made once, never per step. */
export interface Tables {
  time: number
  /** RoPE's cosines and sines, [time, head size]. */
  cosine: tf.Tensor2D
  sine: tf.Tensor2D
  /** 0 where a token may look, a large negative number where it may not, [time, time]. */
  mask: tf.Tensor2D
  /** Number constants of the graph as tensors, so that all layers share them. */
  epsilon: tf.Scalar
  scale: tf.Scalar
  dispose(): void
}

/** Added to the attention scores of the future; its exponential is 0 in float32. */
const FORBIDDEN = -1e9

/** Cosines and sines of RoPE for positions 0..time-1, row-major [time, head size], both halves alike. */
export function ropeTables(config: ModelConfig, time: number): { cosine: Float32Array; sine: Float32Array } {
  const size = config.width / config.heads
  const cosine = new Float32Array(time * size)
  const sine = new Float32Array(time * size)
  for (let t = 0; t < time; t++) {
    for (let i = 0; i < size / 2; i++) {
      const angle = t * config.ropeBase ** ((-2 * i) / size)
      for (const at of [t * size + i, t * size + size / 2 + i]) {
        cosine[at] = Math.cos(angle)
        sine[at] = Math.sin(angle)
      }
    }
  }
  return { cosine, sine }
}

export function createTables(config: ModelConfig, time: number): Tables {
  const size = config.width / config.heads
  const { cosine, sine } = ropeTables(config, time)
  const mask = new Float32Array(time * time)
  for (let i = 0; i < time; i++) mask.fill(FORBIDDEN, i * time + i + 1, (i + 1) * time)
  const tensors = {
    cosine: tf.keep(tf.tensor2d(cosine, [time, size])),
    sine: tf.keep(tf.tensor2d(sine, [time, size])),
    mask: tf.keep(tf.tensor2d(mask, [time, time])),
    epsilon: tf.keep(tf.scalar(config.normEpsilon)),
    scale: tf.keep(tf.scalar(1 / Math.sqrt(size))),
  }
  return { time, ...tensors, dispose: () => tf.dispose(Object.values(tensors)) }
}

export interface Output {
  /** [batch * time, vocab] */
  logits: tf.Tensor2D
  /** The embedding's output, then each layer's: layers + 1 tensors [batch * time, width]. */
  hidden: tf.Tensor2D[]
  /** Each layer's attention probabilities, [batch, heads, time, time]; only where they were asked for. */
  attention?: tf.Tensor4D[]
}

type Parameters = ReadonlyMap<string, tf.Tensor>

/**
 * The decoder-only transformer of the Llama family: RMSNorm, rotary positions (Hugging Face's rotate-half
 * convention), grouped-query attention, SwiGLU.
 *
 * @param tokens int32 [batch, time], time as in the tables
 * @param options `attention`: give the attention maps out too
 */
export function forward(
  config: ModelConfig,
  parameters: Parameters,
  tokens: tf.Tensor2D,
  tables: Tables,
  { attention = false } = {},
): Output {
  const [batch, time] = tokens.shape
  const embedding = parameters.get(EMBEDDING) as tf.Tensor2D
  let x = tf.gather(embedding, tf.reshape(tokens, [batch * time])) as tf.Tensor2D
  const hidden = [x]
  const maps: tf.Tensor4D[] | undefined = attention ? [] : undefined
  for (let layer = 0; layer < config.layers; layer++) {
    x = block(config, parameters, layer, x, batch, tables, maps)
    hidden.push(x)
  }
  const normal = rmsNorm(x, parameters.get(FINAL_NORM) as tf.Tensor1D, tables.epsilon)
  const head = config.tied ? embedding : (parameters.get(HEAD) as tf.Tensor2D)
  return { logits: tf.matMul(normal, head, false, true), hidden, ...(maps && { attention: maps }) }
}

function block(
  config: ModelConfig,
  parameters: Parameters,
  layer: number,
  x: tf.Tensor2D,
  batch: number,
  tables: Tables,
  maps: tf.Tensor4D[] | undefined,
): tf.Tensor2D {
  const weight = (which: LayerWeight) => parameters.get(layerWeight(layer, which))! as tf.Tensor2D
  const gain = (which: LayerWeight) => parameters.get(layerWeight(layer, which))! as tf.Tensor1D
  const linear = (input: tf.Tensor2D, which: LayerWeight): tf.Tensor2D =>
    tf.matMul(input, weight(which), false, true)
  const { heads, kvHeads, width } = config
  const { time } = tables
  const size = width / heads
  /** [batch * time, n * size] to [batch, n, time, size]. */
  const split = (y: tf.Tensor2D, n: number) =>
    tf.transpose(tf.reshape(y, [batch, time, n, size]), [0, 2, 1, 3]) as tf.Tensor4D

  const normal = rmsNorm(x, gain('attentionNorm'), tables.epsilon)
  // Scaled here and not at the scores, which are time / size times larger.
  const query = tf.mul(rotate(split(linear(normal, 'query'), heads), tables), tables.scale)
  const key = repeatHeads(rotate(split(linear(normal, 'key'), kvHeads), tables), heads)
  const value = repeatHeads(split(linear(normal, 'value'), kvHeads), heads)
  const scores = tf.add(tf.matMul(query, key, false, true), tables.mask)
  const probabilities = tf.softmax(scores) as tf.Tensor4D
  maps?.push(probabilities)
  const mixed = tf.matMul(probabilities, value) as tf.Tensor4D
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * time, width]) as tf.Tensor2D
  const attended = tf.add(x, linear(joined, 'output')) as tf.Tensor2D

  const second = rmsNorm(attended, gain('feedForwardNorm'), tables.epsilon)
  const inner = tf.mul<tf.Tensor2D>(swish(linear(second, 'gate')), linear(second, 'up'))
  return tf.add(attended, linear(inner, 'down'))
}

/** Rotary positions: each pair (i, i + size / 2) of a head is turned by its position's angle (Su et al. 2021). */
export function rotate(x: tf.Tensor4D, tables: Pick<Tables, 'cosine' | 'sine'>): tf.Tensor4D {
  const half = x.shape[3] / 2
  const low = tf.slice(x, [0, 0, 0, 0], [-1, -1, -1, half])
  const high = tf.slice(x, [0, 0, 0, half], [-1, -1, -1, half])
  const turned = tf.concat([tf.neg(high), low], 3)
  return tf.add(tf.mul(x, tables.cosine), tf.mul(turned, tables.sine))
}

/** Grouped-query attention: each key/value head serves heads / kvHeads query heads in a row. */
export function repeatHeads(x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, kvHeads, time, size] = x.shape
  if (kvHeads === heads) return x
  const group = heads / kvHeads
  const spread = tf.tile(tf.reshape(x, [batch, kvHeads, 1, time * size]), [1, 1, group, 1])
  return tf.reshape(spread, [batch, heads, time, size])
}
