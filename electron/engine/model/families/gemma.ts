import { attentionScale, headSize, LLAMA, type ArchitectureInput, type ModelConfig } from '#contract'
import {
  assemble,
  readLayerTypes,
  readSizes,
  windowIn,
  windowsOf,
  writeLayerTypes,
  writeSizes,
} from './assemble'
import type { ConfigReader } from './configReader'
import { linksOf, readActivation, writeActivation, type Family, type Names } from './family'
import { readRope, readRotary, writeScaling } from './rope'

const NAMES: Names = {
  layer: {
    attendedNorm: 'post_attention_layernorm.weight',
    feedForwardNorm: 'pre_feedforward_layernorm.weight',
    fedNorm: 'post_feedforward_layernorm.weight',
  },
}

/** The window of a file that has no such key. */
const WINDOW = 4096

/** What the two have in common: norms by 1 + w on both sides, embeddings times the root of the width. */
function readCommon(config: ConfigReader, width: number, cap: { attention?: number; logits?: number }) {
  const bias = config.flag('attention_bias', false)
  const capOf = (key: string, fallback: number | undefined) =>
    config.isNull(key) || (fallback === undefined && !config.has(key))
      ? undefined
      : config.positive(key, fallback)
  config.ignore('hidden_act', 'attn_logit_softcapping', 'final_logit_softcapping')
  return {
    norm: { offset: true, place: 'both' },
    embedding: { multiplier: Math.sqrt(width) },
    attention: {
      inputBias: bias,
      outputBias: bias,
      scale: config.positive('query_pre_attn_scalar', 256) ** -0.5,
      cap: capOf('attn_logit_softcapping', cap.attention),
    },
    feedForward: { activation: readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh') },
    logits: { cap: capOf('final_logit_softcapping', cap.logits) },
  } satisfies ArchitectureInput
}

function writeCommon(config: ModelConfig): Record<string, unknown> {
  const { attention, feedForward, logits } = config.architecture ?? LLAMA
  const activation = writeActivation(feedForward.activation)
  return {
    ...writeSizes(config),
    head_dim: headSize(config),
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeBase,
    query_pre_attn_scalar: rounded(attentionScale(config, 0) ** -2),
    attn_logit_softcapping: attention.cap ?? null,
    final_logit_softcapping: logits.cap ?? null,
    // They want one where no layer looks at it, too.
    sliding_window: windowIn(config) ?? WINDOW,
    layer_types: writeLayerTypes(config),
    attention_bias: attention.inputBias,
    hidden_activation: activation,
    hidden_act: activation,
  }
}

/** A whole number where it is one but for rounding: transformers takes no other. */
function rounded(value: number): number {
  const whole = Math.round(value)
  return Math.abs(value - whole) < 1e-6 * value ? whole : value
}

/** Gemma 2: scores and logits with a soft cap, every other layer with a window. */
export const gemma2: Family = {
  architecture: 'Gemma2ForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config, { kvHeads: 4, headSize: 256 })
    // The 9B model's, beside the key that is read.
    config.ignore('sliding_window_size')
    const window = config.isNull('sliding_window') ? undefined : config.size('sliding_window', WINDOW)
    const types = readLayerTypes(config, sizes.layers, (layer) =>
      layer % 2 ? 'full_attention' : 'sliding_attention',
    )
    return assemble(
      config,
      'gemma2',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', true),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
        windows: windowsOf(types, window),
      },
      readCommon(config, sizes.width, { attention: 50, logits: 30 }),
    )
  },
  write: (config) => {
    const scaling = writeScaling((config.architecture ?? LLAMA).positions.rotary[0]!)
    return { ...writeCommon(config), ...(scaling && { rope_scaling: scaling }) }
  },
  links: (config) => linksOf(config, NAMES),
}

/** Gemma 3's text model: norms of queries and keys, and rotary positions of their own in layers with a window. */
export const gemma3: Family = {
  architecture: 'Gemma3ForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config, { kvHeads: 4, headSize: 256 })
    const window = config.isNull('sliding_window') ? undefined : config.size('sliding_window', WINDOW)
    const pattern = config.size('sliding_window_pattern', 6)
    config.ignore('_sliding_window_pattern')
    const types = readLayerTypes(config, sizes.layers, (layer) =>
      (layer + 1) % pattern ? 'sliding_attention' : 'full_attention',
    )
    const common = readCommon(config, sizes.width, {})
    const parameters = config.part('rope_parameters')
    const whole = config.part('rope_scaling') ?? parameters?.part('full_attention')
    const near = parameters?.part('sliding_attention')
    parameters?.ignore('full_attention')
    parameters?.finish()
    const options = { size: sizes.headSize!, context: sizes.context }
    const rope = [
      readRotary(config, whole, { ...options, base: 1_000_000 }),
      readRotary(config, near, { ...options, base: 10_000, keys: { base: 'rope_local_base_freq' } }),
    ]
    return assemble(
      config,
      'gemma3_text',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', true),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope,
        byLayer: types.map((type) => (type === 'sliding_attention' ? 1 : 0)),
        windows: windowsOf(types, window),
      },
      // transformers reads the cap of the scores and does not apply it.
      { ...common, attention: { ...common.attention, cap: undefined, norm: 'head' } },
    )
  },
  write(config) {
    const { rotary } = (config.architecture ?? LLAMA).positions
    const scaling = writeScaling(rotary[0]!)
    return {
      ...writeCommon(config),
      rope_local_base_freq: rotary[1]?.base ?? config.ropeBase,
      ...(scaling && { rope_scaling: scaling }),
    }
  },
  links: (config) => linksOf(config, NAMES),
}
