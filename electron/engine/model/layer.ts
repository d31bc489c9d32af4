import { attentionScale, headSize, LLAMA, rotaryOf, type LayerWeight, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { activate, gated, headNorm, layerNorm, rmsNorm, rotate, type Rotation } from './layers'

/** The matrices of a layer, and their biases. */
export const MATRICES = {
  query: 'queryBias',
  key: 'keyBias',
  value: 'valueBias',
  output: 'outputBias',
  gate: 'gateBias',
  up: 'upBias',
  down: 'downBias',
} as const satisfies Partial<Record<LayerWeight, LayerWeight>>
export type Matrix = keyof typeof MATRICES

/** Matrices with the same input: they may be multiplied as one. */
const TOGETHER = [['query', 'key', 'value'], ['output'], ['gate', 'up'], ['up'], ['down']] as const
export type Together = (typeof TOGETHER)[number]

/** Those that a model has. */
export function groupsOf(config: ModelConfig): readonly Together[] {
  const { gated } = (config.architecture ?? LLAMA).feedForward
  return TOGETHER.filter(([first]) => first !== (gated ? 'up' : 'gate'))
}

/** Rotary positions of a pass. Where a whole head is turned, queries are scaled by their tables: that costs nothing. */
export interface Rotations {
  key: Rotation
  query: Rotation
}

/** How a layer reaches its weights, and the keys and values of other tokens: with a KV cache or without. */
export interface LayerPass {
  batch: number
  time: number
  /** Of each rotary position that the model has. */
  rotations: readonly Rotations[]
  /** x times matrices with the same input, with their biases: of each [batch * time, out]. */
  project(x: tf.Tensor2D, matrices: Together): tf.Tensor2D[]
  /** A gain or a bias; undefined where the model has none of them. */
  vector(which: LayerWeight): tf.Tensor1D | undefined
  /**
   * Causal attention within the layer's window, softmax(q k^T) v; the queries are scaled.
   *
   * @param query [batch, heads, time, size]
   * @param key [batch, kvHeads, time, size]
   * @param value [batch, kvHeads, time, size]
   * @returns [batch, heads, time, size]
   */
  attend(query: tf.Tensor4D, key: tf.Tensor4D, value: tf.Tensor4D): tf.Tensor4D
}

/**
 * What a layer of a decoder computes: the one description of it, for training, reading and exports, with a KV cache or
 * without.
 *
 * @param layer from 0
 * @param x residual stream, [batch * time, width]
 * @returns the same after the layer
 */
export function decoderLayer(
  config: ModelConfig,
  layer: number,
  x: tf.Tensor2D,
  pass: LayerPass,
): tf.Tensor2D {
  const { norm, parallel, residual } = config.architecture ?? LLAMA
  const { place } = norm
  const before = place === 'before' || place === 'both'
  const after = place === 'after' || place === 'both'
  const add = (stream: tf.Tensor2D, said: tf.Tensor2D): tf.Tensor2D =>
    tf.add(stream, residual === 1 ? said : tf.mul(said, residual))

  const normal = before ? normalised(config, x, pass, 'attentionNorm', 'attentionNormBias') : x
  let attended = attention(config, layer, normal, pass)
  if (after) attended = normalised(config, attended, pass, 'attendedNorm', 'attendedNormBias')
  if (parallel === 'shared') return add(add(x, attended), feedForward(config, normal, pass))
  let y = parallel === 'own' ? x : add(x, attended)
  if (place === 'sum') y = normalised(config, y, pass, 'attentionNorm', 'attentionNormBias')

  const second = before ? normalised(config, y, pass, 'feedForwardNorm', 'feedForwardNormBias') : y
  let fed = feedForward(config, second, pass)
  if (after) fed = normalised(config, fed, pass, 'fedNorm', 'fedNormBias')
  const sum = add(parallel === 'own' ? add(x, attended) : y, fed)
  return place === 'sum' ? normalised(config, sum, pass, 'feedForwardNorm', 'feedForwardNormBias') : sum
}

/** The model's norm by a gain and a bias, as far as it has them. */
export function normalise(
  config: ModelConfig,
  x: tf.Tensor2D,
  gain: tf.Tensor1D | undefined,
  bias: tf.Tensor1D | undefined,
): tf.Tensor2D {
  const { kind, offset } = (config.architecture ?? LLAMA).norm
  const weight = gain ? (offset ? tf.add<tf.Tensor1D>(gain, 1) : gain) : tf.ones([x.shape[1]])
  if (kind === 'rms') return rmsNorm(x, weight as tf.Tensor1D, config.normEpsilon)
  return layerNorm(x, weight as tf.Tensor1D, bias ?? tf.zeros([x.shape[1]]), config.normEpsilon)
}

function normalised(
  config: ModelConfig,
  x: tf.Tensor2D,
  pass: LayerPass,
  gain: LayerWeight,
  bias: LayerWeight,
): tf.Tensor2D {
  return normalise(config, x, pass.vector(gain), pass.vector(bias))
}

function attention(config: ModelConfig, layer: number, x: tf.Tensor2D, pass: LayerPass): tf.Tensor2D {
  const { heads, kvHeads } = config
  const { batch, time } = pass
  const size = headSize(config)
  /** [batch * time, n * size] to [batch, n, time, size]. */
  const split = (y: tf.Tensor2D, n: number): tf.Tensor4D =>
    time === 1
      ? tf.reshape(y, [batch, n, 1, size])
      : tf.transpose(tf.reshape(y, [batch, time, n, size]), [0, 2, 1, 3])

  const [q, k, v] = pass.project(x, TOGETHER[0]) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
  const query = split(normedHeads(config, q, heads, pass.vector('queryNorm')), heads)
  const key = split(normedHeads(config, k, kvHeads, pass.vector('keyNorm')), kvHeads)
  const turned = positioned(config, layer, query, key, pass)
  const mixed = pass.attend(turned.query, turned.key, split(v, kvHeads))
  const joined = time === 1 ? mixed : tf.transpose(mixed, [0, 2, 1, 3])
  const rows = tf.reshape(joined, [batch * time, heads * size]) as tf.Tensor2D
  return pass.project(rows, TOGETHER[1])[0]!
}

/** Queries or keys with the norm that they may have, [tokens, heads * size]. */
function normedHeads(
  config: ModelConfig,
  x: tf.Tensor2D,
  heads: number,
  gain: tf.Tensor1D | undefined,
): tf.Tensor2D {
  const { attention: own, norm } = config.architecture ?? LLAMA
  if (own.norm === 'none') return x
  const weight = norm.offset ? tf.add<tf.Tensor1D>(gain!, 1) : gain!
  return headNorm(x, weight, { kind: norm.kind, over: own.norm, heads, epsilon: config.normEpsilon })
}

/** Queries, scaled, and keys with the layer's rotary positions, if it has any. */
function positioned(
  config: ModelConfig,
  layer: number,
  query: tf.Tensor4D,
  key: tf.Tensor4D,
  { rotations }: LayerPass,
): { query: tf.Tensor4D; key: tf.Tensor4D } {
  const which = rotaryOf(config, layer)
  const scale = attentionScale(config, layer)
  if (which === undefined) return { query: tf.mul(query, scale), key }
  const tables = rotations[which]!
  const turnedKey = rotatedPart(key, tables.key)
  if (scalesByRotation(config, tables)) return { query: rotate(query, tables.query), key: turnedKey }
  return { query: tf.mul(rotatedPart(query, tables.key), scale), key: turnedKey }
}

function scalesByRotation(config: ModelConfig, { key }: Rotations): boolean {
  return turningOf(key) === headSize(config) && !(config.architecture ?? LLAMA).attention.byDepth
}

/** Tables of a pass may be of each sequence, [batch, 1, time, dimensions]. */
const turningOf = ({ cosine }: Rotation): number => cosine.shape[cosine.shape.length - 1]!

/** A head's first dimensions turned, as many as the tables have. */
function rotatedPart(x: tf.Tensor4D, rotation: Rotation): tf.Tensor4D {
  const [size, turning] = [x.shape[3], turningOf(rotation)]
  if (turning === size) return rotate(x, rotation)
  const [first, rest] = tf.split<tf.Tensor4D>(x, [turning, size - turning], 3)
  return tf.concat([rotate(first!, rotation), rest!], 3)
}

function feedForward(config: ModelConfig, x: tf.Tensor2D, pass: LayerPass): tf.Tensor2D {
  const { activation, gated: isGated } = (config.architecture ?? LLAMA).feedForward
  let inner: tf.Tensor2D
  if (isGated) {
    const [gate, up] = pass.project(x, TOGETHER[2]) as [tf.Tensor2D, tf.Tensor2D]
    inner = gated(gate, up, activation)
  } else {
    inner = activate(pass.project(x, TOGETHER[3])[0]!, activation)
  }
  return pass.project(inner, TOGETHER[4])[0]!
}
