import { headSize, LLAMA, type ModelConfig } from '#contract'
import {
  assemble,
  readLayerTypes,
  readSizes,
  windowIn,
  windowsOf,
  writeLayerTypes,
  writeRope,
  writeSizes,
} from './assemble'
import type { ConfigReader } from './configReader'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** What the two have in common: windows in the layers from `max_window_layers` on, where they are switched on. */
function readQwen(config: ConfigReader, family: 'qwen2' | 'qwen3'): ModelConfig {
  const third = family === 'qwen3'
  const sizes = readSizes(config, { kvHeads: 32, headSize: third ? 128 : undefined })
  const on = config.flag('use_sliding_window', false)
  const own = config.isNull('sliding_window') ? undefined : config.size('sliding_window', 4096)
  const window = on ? own : undefined
  const from = config.number('max_window_layers', 28)
  const types = readLayerTypes(config, sizes.layers, (layer) =>
    window !== undefined && layer >= from ? 'sliding_attention' : 'full_attention',
  )
  const bias = third ? config.flag('attention_bias', false) : true
  return assemble(
    config,
    family,
    sizes,
    {
      tied: config.flag('tie_word_embeddings', false),
      epsilon: config.positive('rms_norm_eps', 1e-6),
      rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
      windows: windowsOf(types, window),
    },
    {
      attention: { inputBias: bias, outputBias: third && bias, norm: third ? 'head' : 'none' },
      feedForward: { activation: readActivation(config, 'hidden_act', 'silu') },
    },
  )
}

function writeQwen(config: ModelConfig): Record<string, unknown> {
  const window = windowIn(config)
  return {
    ...writeSizes(config),
    head_dim: headSize(config),
    rms_norm_eps: config.normEpsilon,
    ...writeRope(config),
    use_sliding_window: window !== null,
    sliding_window: window,
    max_window_layers: config.layers,
    layer_types: writeLayerTypes(config),
    hidden_act: writeActivation((config.architecture ?? LLAMA).feedForward.activation),
  }
}

/** Qwen 2 and 2.5: a Llama with biases of queries, keys and values. */
export const qwen2: Family = {
  architecture: 'Qwen2ForCausalLM',
  prefix: 'model.',
  read: (config) => readQwen(config, 'qwen2'),
  write: writeQwen,
  links: (config) => linksOf(config),
}

/** Qwen 3: a Llama with norms of queries and keys, head by head. */
export const qwen3: Family = {
  architecture: 'Qwen3ForCausalLM',
  prefix: 'model.',
  read: (config) => readQwen(config, 'qwen3'),
  write: (config) => ({
    ...writeQwen(config),
    attention_bias: (config.architecture ?? LLAMA).attention.inputBias,
  }),
  links: (config) => linksOf(config),
}
