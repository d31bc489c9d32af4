import type { ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { causalAttention } from './attention'
import { rmsNorm, rotate, swiglu } from './layers'
import { EMBEDDING, FINAL_NORM, HEAD, layerWeight, layerWeights, type LayerWeight } from './weights'

/** What a forward pass over sequences of one length needs beside the weights: made once, never per step. */
export interface Tables {
  time: number
  /** RoPE's cosines and sines, [time, head size]. */
  cosine: tf.Tensor2D
  sine: tf.Tensor2D
  /** 0 where a token may look, a large negative number where it may not, [time, time]. */
  mask: tf.Tensor2D
  /** The same for queries, which attention wants divided by the root of the head size. */
  query: { cosine: tf.Tensor2D; sine: tf.Tensor2D }
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
  const table = (data: Float32Array, scale = 1) =>
    tf.keep(tf.tensor2d(scale === 1 ? data : data.map((x) => x * scale), [time, size]))
  const scale = 1 / Math.sqrt(size)
  const tensors = { cosine: table(cosine), sine: table(sine), mask: tf.keep(tf.tensor2d(mask, [time, time])) }
  const query = { cosine: table(cosine, scale), sine: table(sine, scale) }
  return { time, ...tensors, query, dispose: () => tf.dispose({ tensors, query }) }
}

export interface Output {
  /** [batch * time, vocab]; computed when it is asked for */
  readonly logits: tf.Tensor2D
  /** What the logits are the product of: the last normalised states [batch * time, width], the head [vocab, width]. */
  final: { normal: tf.Tensor2D; head: tf.Tensor2D }
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
 * @param options `attention`: give the attention maps out too; `checkpointing`: keep of a layer its input alone for the
 * backward pass, which computes the rest again (not together with maps: they are kept for the losses anyhow)
 */
export function forward(
  config: ModelConfig,
  parameters: Parameters,
  tokens: tf.Tensor2D,
  tables: Tables,
  { attention = false, checkpointing = false } = {},
): Output {
  const [batch, time] = tokens.shape
  const embedding = parameters.get(EMBEDDING) as tf.Tensor2D
  let x = tf.gather(embedding, tf.reshape(tokens, [batch * time])) as tf.Tensor2D
  const hidden = [x]
  const maps: tf.Tensor4D[] | undefined = attention ? [] : undefined
  for (let layer = 0; layer < config.layers; layer++) {
    const through = (input: tf.Tensor2D, own: Parameters) =>
      block(config, own, layer, input, batch, tables, maps)
    x = checkpointing && !maps ? recomputed(through, x, layer, parameters) : through(x, parameters)
    hidden.push(x)
  }
  const normal = rmsNorm(x, parameters.get(FINAL_NORM) as tf.Tensor1D, config.normEpsilon)
  const head = config.tied ? embedding : (parameters.get(HEAD) as tf.Tensor2D)
  let logits: tf.Tensor2D | undefined
  return {
    hidden,
    final: { normal, head },
    get logits() {
      return (logits ??= tf.matMul<tf.Tensor2D>(normal, head, false, true))
    },
    ...(maps && { attention: maps }),
  }
}

/**
 * A layer by gradient checkpointing (Chen et al. 2016): the backward pass computes it again from its input, so that
 * nothing of its inside is kept until then.
 */
function recomputed(
  through: (x: tf.Tensor2D, own: Parameters) => tf.Tensor2D,
  x: tf.Tensor2D,
  layer: number,
  parameters: Parameters,
): tf.Tensor2D {
  const names = Object.keys(layerWeights).map((which) => layerWeight(layer, which as LayerWeight))
  const inside = (input: tf.Tensor, ...own: tf.Tensor[]) =>
    through(input as tf.Tensor2D, new Map(names.map((name, i) => [name, own[i]!])))
  const op = tf.customGrad((...given) => {
    const save = given.pop() as tf.GradSaveFunc
    const inputs = given as tf.Tensor[]
    save(inputs)
    const gradFunc = (dy: tf.Tensor2D, [input, ...own]: tf.Tensor[]) => {
      // A zero that depends on the gradient: ONNX Runtime merges equal computations, and would keep the first one's.
      const again = tf.add(input!, tf.mul(tf.slice(dy, [0, 0], [1, 1]), 0))
      return withTapeKept(() => tf.grads(inside)([again, ...own], dy))
    }
    return { value: inside(inputs[0]!, ...inputs.slice(1)), gradFunc }
  })
  return op(x, ...names.map((name) => parameters.get(name)!)) as tf.Tensor2D
}

/** Gradients inside a gradient: tfjs forgets the outer tape, whose saved tensors it then cannot dispose of. */
function withTapeKept<T>(work: () => T): T {
  const { state } = tf.engine() as unknown as { state: { activeTape: unknown } }
  const tape = state.activeTape
  try {
    return work()
  } finally {
    state.activeTape = tape
  }
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

  const normal = rmsNorm(x, gain('attentionNorm'), config.normEpsilon)
  // Scaled by the rotation and not at the scores: that costs nothing.
  const query = rotate(split(linear(normal, 'query'), heads), tables.query)
  const key = rotate(split(linear(normal, 'key'), kvHeads), tables)
  const value = split(linear(normal, 'value'), kvHeads)
  const mixed = maps
    ? mappedAttention(query, key, value, tables.mask, maps)
    : causalAttention(query, key, value, tables.mask)
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * time, width]) as tf.Tensor2D
  const attended = tf.add(x, linear(joined, 'output')) as tf.Tensor2D

  const second = rmsNorm(attended, gain('feedForwardNorm'), config.normEpsilon)
  const inner = swiglu(linear(second, 'gate'), linear(second, 'up'))
  return tf.add(attended, linear(inner, 'down'))
}

/** Causal attention whose probabilities, [batch, heads, time, time], are put into `maps`: losses look at them. */
function mappedAttention(
  query: tf.Tensor4D,
  key: tf.Tensor4D,
  value: tf.Tensor4D,
  mask: tf.Tensor2D,
  maps: tf.Tensor4D[],
): tf.Tensor4D {
  const heads = query.shape[1]
  const scores = tf.add(tf.matMul(query, repeatHeads(key, heads), false, true), mask)
  const probabilities = tf.softmax(scores) as tf.Tensor4D
  maps.push(probabilities)
  return tf.matMul(probabilities, repeatHeads(value, heads))
}

/** Grouped-query attention: each key/value head serves heads / kvHeads query heads in a row. */
export function repeatHeads(x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, kvHeads, time, size] = x.shape
  if (kvHeads === heads) return x
  const group = heads / kvHeads
  const spread = tf.tile(tf.reshape(x, [batch, kvHeads, 1, time * size]), [1, 1, group, 1])
  return tf.reshape(spread, [batch, heads, time, size])
}
