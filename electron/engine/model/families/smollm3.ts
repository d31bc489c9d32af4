import { z } from 'zod'
import { LLAMA, rotaryOf } from '#contract'
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
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** SmolLM 3: a Llama of which some layers have no positions. */
export const smollm3: Family = {
  architecture: 'SmolLM3ForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config, { kvHeads: 4 })
    const interval = config.size('no_rope_layer_interval', 4)
    // 1 where a layer has positions: the name says the opposite.
    const turned =
      config.list('no_rope_layers', z.union([z.literal(0), z.literal(1)]), sizes.layers) ??
      Array.from({ length: sizes.layers }, (_, layer) => ((layer + 1) % interval ? 1 : 0))
    const window = config.has('sliding_window') ? config.size('sliding_window') : undefined
    const on = config.flag('use_sliding_window', false)
    const types = readLayerTypes(config, sizes.layers, (layer) =>
      on && window !== undefined && !turned[layer] ? 'sliding_attention' : 'full_attention',
    )
    const bias = config.flag('attention_bias', false)
    config.ignore('max_window_layers')
    return assemble(
      config,
      'smollm3',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', true),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context, base: 2_000_000 }),
        byLayer: turned.map((is) => (is ? 0 : null)),
        windows: windowsOf(types, window),
      },
      {
        attention: { inputBias: bias, outputBias: bias },
        feedForward: {
          activation: readActivation(config, 'hidden_act', 'silu'),
          bias: config.flag('mlp_bias', false),
        },
      },
    )
  },
  write(config) {
    const { attention, feedForward } = config.architecture ?? LLAMA
    const window = windowIn(config)
    return {
      ...writeSizes(config),
      rms_norm_eps: config.normEpsilon,
      ...writeRope(config),
      no_rope_layers: Array.from({ length: config.layers }, (_, layer) =>
        rotaryOf(config, layer) === undefined ? 0 : 1,
      ),
      use_sliding_window: window !== null,
      sliding_window: window,
      layer_types: writeLayerTypes(config),
      hidden_act: writeActivation(feedForward.activation),
      attention_bias: attention.inputBias,
      mlp_bias: feedForward.bias,
    }
  },
  links: (config) => linksOf(config),
}
