import { LLAMA } from '#contract'
import { assemble, readSizes, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** OLMo 2: norms of the outputs and none of the inputs, and of all queries and all keys together. */
export const olmo2: Family = {
  architecture: 'Olmo2ForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config)
    const bias = config.flag('attention_bias', false)
    config.only('clip_qkv', null)
    return assemble(
      config,
      'olmo2',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('rms_norm_eps', 1e-5),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
      },
      {
        norm: { place: 'after' },
        attention: { inputBias: bias, outputBias: bias, norm: 'all' },
        feedForward: { activation: readActivation(config, 'hidden_act', 'silu') },
      },
    )
  },
  write(config) {
    const { attention, feedForward } = config.architecture ?? LLAMA
    return {
      ...writeSizes(config),
      rms_norm_eps: config.normEpsilon,
      ...writeRope(config),
      attention_bias: attention.inputBias,
      hidden_act: writeActivation(feedForward.activation),
    }
  },
  links: (config) =>
    linksOf(config, {
      layer: {
        attendedNorm: 'post_attention_layernorm.weight',
        fedNorm: 'post_feedforward_layernorm.weight',
      },
    }),
}
