import {
  attentionScale,
  headSize,
  LLAMA,
  rotaries,
  rotaryOf,
  windowOf,
  type ModelConfig,
  type Rotary,
} from '#contract'
import type { Known } from './architecture'
import type { Metadata, TensorType, Value } from './format'

/** llama.cpp's numbers for what most tensors of a file are. */
const FILE_TYPES: Readonly<Record<TensorType, number>> = { f32: 0, f16: 1, q8_0: 7 }

/**
 * Names to which llama.cpp gives a meaning of its own: a vocabulary under one of them is expected to have certain tokens,
 * and spaces beside special ones are taken away.
 */
const MEANINGFUL = /(phi(?=-?3)|modern(?=-bert))-?/gi

/** What llama.cpp must know of a model to compute it. */
export function modelMetadata(config: ModelConfig, known: Known, name: string, dtype: TensorType): Metadata {
  const metadata: Metadata = new Map()
  const { norm } = config.architecture ?? LLAMA
  metadata.set('general.architecture', { type: 'string', value: known.name })
  metadata.set('general.type', { type: 'string', value: 'model' })
  metadata.set('general.name', { type: 'string', value: name.replace(MEANINGFUL, '$1 ') })
  metadata.set('general.file_type', { type: 'uint32', value: FILE_TYPES[dtype] })
  if (dtype === 'q8_0') metadata.set('general.quantization_version', { type: 'uint32', value: 2 })
  const own = (key: string, type: 'uint32' | 'float32', value: number) =>
    metadata.set(`${known.name}.${key}`, { type, value })
  own('vocab_size', 'uint32', config.rows ?? config.vocab)
  own('context_length', 'uint32', config.context)
  own('embedding_length', 'uint32', config.width)
  own('block_count', 'uint32', config.layers)
  own('feed_forward_length', 'uint32', config.hidden)
  own('attention.head_count', 'uint32', config.heads)
  own('attention.head_count_kv', 'uint32', config.kvHeads)
  own('attention.key_length', 'uint32', headSize(config))
  own('attention.value_length', 'uint32', headSize(config))
  own(`attention.layer_norm_${norm.kind === 'rms' ? 'rms_' : ''}epsilon`, 'float32', config.normEpsilon)
  for (const [key, value] of [...rotaryMetadata(config), ...familyMetadata(config, known)])
    metadata.set(`${known.name}.${key}`, value)
  return metadata
}

const float = (value: number): Value => ({ type: 'float32', value })
const whole = (value: number): Value => ({ type: 'uint32', value })

function rotaryMetadata(config: ModelConfig): Metadata {
  const metadata: Metadata = new Map()
  const [first, near] = rotaries(config)
  if (!first) return metadata
  metadata.set('rope.dimension_count', whole(first.dimensions))
  metadata.set('rope.freq_base', float(first.base))
  if (near) metadata.set('rope.freq_base_swa', float(near.base))
  for (const [key, value] of scalingMetadata(first)) metadata.set(`rope.scaling.${key}`, value)
  return metadata
}

/** Llama 3's ramp is a tensor instead. */
function scalingMetadata({ scaling }: Rotary): Metadata {
  const metadata: Metadata = new Map()
  if (!scaling || scaling.kind === 'llama3' || scaling.kind === 'dynamic') return metadata
  metadata.set('type', { type: 'string', value: scaling.kind })
  if (scaling.kind !== 'longrope') metadata.set('factor', float(scaling.factor))
  if (scaling.kind === 'linear') return metadata
  metadata.set('original_context_length', whole(scaling.original))
  // Of YaRN it has the usual factor by itself, and multiplies it by this one.
  const usual = scaling.kind === 'yarn' ? 1 + 0.1 * Math.log(scaling.factor) : 1
  metadata.set('attn_factor', float(scaling.attention / usual))
  return metadata
}

/** What is metadata in some families alone. */
function familyMetadata(config: ModelConfig, known: Known): Metadata {
  const metadata: Metadata = new Map()
  const { attention, embedding, residual, logits, parallel } = config.architecture ?? LLAMA
  if (known.windows) {
    const layers = Array.from({ length: config.layers }, (_, layer) => layer)
    const windows = layers.map((layer) => windowOf(config, layer))
    const narrow = windows.find((window) => window < Infinity)
    // Layers with rotary positions of their own are told by their windows, also where these are none.
    const own = narrow === undefined && layers.some((layer) => rotaryOf(config, layer) === 1)
    metadata.set('attention.sliding_window', whole(narrow ?? config.context))
    metadata.set('attention.sliding_window_pattern', {
      type: 'bool',
      value: layers.map((layer) => (own ? rotaryOf(config, layer) === 1 : windows[layer]! < Infinity)),
    })
  }
  if (attention.cap) metadata.set('attn_logit_softcapping', float(attention.cap))
  if (logits.cap) metadata.set('final_logit_softcapping', float(logits.cap))
  if (known.multipliers) {
    metadata.set('attention.scale', float(attentionScale(config, 0)))
    metadata.set('embedding_scale', float(embedding.multiplier))
    metadata.set('residual_scale', float(residual))
    metadata.set('logit_scale', float(1 / logits.multiplier))
  }
  if (config.family === 'gpt_neox' || config.family === 'stablelm')
    metadata.set('use_parallel_residual', { type: 'bool', value: parallel !== 'no' })
  return metadata
}
