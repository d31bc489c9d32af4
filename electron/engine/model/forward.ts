import {
  attentionScale,
  EMBEDDING,
  FINAL_NORM,
  FINAL_NORM_BIAS,
  HEAD,
  layerWeight,
  LLAMA,
  POSITIONS,
  PROJECT_IN,
  PROJECT_OUT,
  rotaries,
  weightShapes,
  windowOf,
  windowsOf,
  type ModelConfig,
} from '#contract'
import { tf } from '../backend/tf'
import { causalAttention, mappedAttention, type Mask } from './attention'
import { decoderLayer, MATRICES, normalise, type LayerPass, type Rotations } from './layer'
import { softCap } from './layers'
import { adapted, LORA_SCALE } from './lora'
import { gathered, plainProduct, products, scaleOf, type Product } from './quantised'
import { rotaryRows } from './rotary'

/** Weights by name. */
export type Parameters = ReadonlyMap<string, tf.Tensor>

/** How the tokens of sequences of one length stand to each other. */
export interface Layout {
  time: number
  /** Of each of the model's rotary positions. */
  rotations: readonly Rotations[]
  /**
   * By window (infinite: all that came before): 0 where a token may look, a large negative number where it may not,
   * [time, time], or of each sequence [sequences, 1, time, time].
   */
  masks: ReadonlyMap<number, Mask>
  /** Of all tokens, int32 [sequences * time]; absent where each sequence's are 0, 1, ... */
  positions?: tf.Tensor1D
}

/** The layout of sequences of one text each: made once, never per step. */
export interface Tables extends Layout {
  masks: ReadonlyMap<number, tf.Tensor2D>
  dispose(): void
}

/** Added to the attention scores of what may not be seen; its exponential is 0 in float32. */
export const FORBIDDEN = -1e9

export function createTables(config: ModelConfig, time: number): Tables {
  const rows = rotaryRows(config, 0, time, time)
  const rotations = rotaries(config).map(({ dimensions }, i) => {
    const table = (data: Float32Array, scale = 1) =>
      tf.keep(tf.tensor2d(scale === 1 ? data : data.map((x) => x * scale), [time, dimensions]))
    const { cosine, sine } = rows[i]!
    const scale = attentionScale(config, 0)
    return {
      key: { cosine: table(cosine), sine: table(sine) },
      query: { cosine: table(cosine, scale), sine: table(sine, scale) },
    }
  })
  const masks = new Map(
    [...windowsOf(config)].map((window) => [
      window,
      tf.keep(tf.tensor2d(maskOf(time, window), [time, time])),
    ]),
  )
  return { time, rotations, masks, dispose: () => tf.dispose([rotations, ...masks.values()]) }
}

/** Of a causal look within a window, [time, time]. */
export function maskOf(time: number, window: number): Float32Array {
  const mask = new Float32Array(time * time)
  for (let i = 0; i < time; i++) {
    mask.fill(FORBIDDEN, i * time + i + 1, (i + 1) * time)
    mask.fill(FORBIDDEN, i * time, i * time + Math.max(0, i + 1 - window))
  }
  return mask
}

/** What logits are made of: cap * tanh(normal head^T / cap), or the product alone where there is no cap. */
export interface Final extends Head {
  /** The last normalised states, [tokens, width]. */
  normal: tf.Tensor2D
}

export interface Head {
  /** [vocab, width]; in 8 bits [width, vocab] */
  head: tf.Tensor2D
  /** Of a head in 8 bits, [vocab]. */
  scale?: tf.Tensor1D
  cap?: number
}

/** [tokens, vocab] */
export function finalLogits({ normal, head, scale, cap }: Final): tf.Tensor2D {
  return softCap(products(normal)(head, scale), cap)
}

export interface Output {
  /** [batch * time, vocab]; computed when it is asked for */
  readonly logits: tf.Tensor2D
  final: Final
  /** The embedding's output, then each layer's: layers + 1 tensors [batch * time, width]. */
  hidden: tf.Tensor2D[]
  /** Each layer's attention probabilities, [batch, heads, time, time]; only where they were asked for. */
  attention?: tf.Tensor4D[]
}

/**
 * A decoder-only transformer, as its architecture says.
 *
 * @param tokens int32 [batch, time], time as in the layout
 * @param options `attention`: give the attention maps out too; `checkpointing`: keep of a layer its input alone for the
 * backward pass, which computes the rest again (not together with maps: they are kept for the losses anyhow)
 */
export function forward(
  config: ModelConfig,
  parameters: Parameters,
  tokens: tf.Tensor2D,
  layout: Layout,
  { attention = false, checkpointing = false } = {},
): Output {
  const [batch, time] = tokens.shape
  let x = embedded(config, parameters, tf.reshape(tokens, [batch * time]), layout.positions ?? 0, time)
  const hidden = [x]
  const { cap } = (config.architecture ?? LLAMA).attention
  const maps: tf.Tensor4D[] | undefined = attention ? [] : undefined
  for (let layer = 0; layer < config.layers; layer++) {
    const mask = layout.masks.get(windowOf(config, layer))!
    const attend: LayerPass['attend'] = (query, key, value) =>
      maps
        ? mappedAttention(query, key, value, mask, maps, cap)
        : causalAttention(query, key, value, mask, cap)
    const through = (input: tf.Tensor2D, own: Parameters) =>
      decoderLayer(config, layer, input, { ...wholePass(config, own, layer, batch, layout), attend })
    x = checkpointing && !maps ? recomputed(config, through, x, layer, parameters) : through(x, parameters)
    hidden.push(x)
  }
  const final = finalOf(config, parameters, x)
  let logits: tf.Tensor2D | undefined
  return {
    hidden,
    final,
    get logits() {
      return (logits ??= finalLogits(final))
    },
    ...(maps && { attention: maps }),
  }
}

/**
 * What tokens enter the first layer as, [tokens, width].
 *
 * @param ids int32 [sequences * time]
 * @param from the position of each sequence's first; or those of all, int32 [sequences * time]
 */
export function embedded(
  config: ModelConfig,
  parameters: Parameters,
  ids: tf.Tensor,
  from: number | tf.Tensor1D,
  time: number,
): tf.Tensor2D {
  const { embedding, positions } = config.architecture ?? LLAMA
  const { width } = config
  let x = gathered(parameters, ids as tf.Tensor1D)
  if (embedding.width) x = tf.matMul(x, parameters.get(PROJECT_IN) as tf.Tensor2D, false, true)
  if (embedding.multiplier !== 1) x = tf.mul(x, embedding.multiplier)
  if (positions.learned === undefined) return x
  const table = parameters.get(POSITIONS) as tf.Tensor2D
  // Cut twice: the length stays a size of its own for the export, not a part of a sum.
  const first = positions.learned + (typeof from === 'number' ? from : 0)
  const rest = first ? tf.slice(table, [first, 0]) : table
  if (typeof from !== 'number') return tf.add(x, tf.gather(rest, from))
  const own = tf.slice(rest, [0, 0], [time, width])
  return tf.reshape(tf.add(tf.reshape(x, [-1, time, width]), own), [x.shape[0], width])
}

/** What the logits of the last layer's states are made of. */
export function finalOf(config: ModelConfig, parameters: Parameters, x: tf.Tensor2D): Final {
  const { norm, embedding, logits } = config.architecture ?? LLAMA
  const vector = (name: string) => parameters.get(name) as tf.Tensor1D | undefined
  let normal = norm.final ? normalise(config, x, vector(FINAL_NORM), vector(FINAL_NORM_BIAS)) : x
  if (embedding.width) normal = tf.matMul(normal, parameters.get(PROJECT_OUT) as tf.Tensor2D, false, true)
  if (logits.multiplier !== 1) normal = tf.mul(normal, logits.multiplier)
  const rows = parameters.get(config.tied ? EMBEDDING : HEAD) as tf.Tensor2D
  const scale = scaleOf(parameters, config.tied ? EMBEDDING : HEAD)
  const head = config.rows && !scale ? tf.slice(rows, [0, 0], [config.vocab, -1]) : rows
  return { normal, head, scale, cap: logits.cap }
}

/**
 * A layer's pass over whole sequences, but for its attention.
 *
 * @param product x [tokens, in] times a matrix in f32, [out, in]
 */
export function wholePass(
  config: ModelConfig,
  parameters: Parameters,
  layer: number,
  batch: number,
  { time, rotations }: Pick<Layout, 'time' | 'rotations'>,
  product: Product = plainProduct,
): Omit<LayerPass, 'attend'> {
  return {
    batch,
    time,
    rotations,
    project: (x, matrices) => {
      const times = products(x, product)
      return matrices.map((which) => {
        const name = layerWeight(layer, which)
        const plain = times(parameters.get(name) as tf.Tensor2D, scaleOf(parameters, name))
        const more = adapted(x, parameters, layer, which, matrices)
        const sum = more ? tf.add<tf.Tensor2D>(plain, more) : plain
        const bias = parameters.get(layerWeight(layer, MATRICES[which]))
        return bias ? tf.add<tf.Tensor2D>(sum, bias) : sum
      })
    },
    vector: (which) => parameters.get(layerWeight(layer, which)) as tf.Tensor1D | undefined,
  }
}

/**
 * A layer by gradient checkpointing (Chen et al. 2016): the backward pass computes it again from its input, so that
 * nothing of its inside is kept until then.
 */
function recomputed(
  config: ModelConfig,
  through: (x: tf.Tensor2D, own: Parameters) => tf.Tensor2D,
  x: tf.Tensor2D,
  layer: number,
  parameters: Parameters,
): tf.Tensor2D {
  const own = `model.layers.${layer}.`
  const shapes = weightShapes(config)
  const beside = [...parameters.keys()].filter(
    (name) =>
      name === LORA_SCALE ||
      name.startsWith(`lora.mask.${layer}.`) ||
      (name.startsWith(own) && !shapes.has(name)),
  )
  const names = [...[...shapes.keys()].filter((name) => name.startsWith(own)), ...beside]
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
