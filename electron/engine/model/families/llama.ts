import { headSize, LLAMA } from '#contract'
import { assemble, readSizes, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** Llama 2 and 3, TinyLlama, SmolLM and SmolLM2. */
export const llama: Family = {
  architecture: 'LlamaForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config)
    const bias = config.flag('attention_bias', false)
    return assemble(
      config,
      'llama',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
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
    return {
      ...writeSizes(config),
      head_dim: headSize(config),
      rms_norm_eps: config.normEpsilon,
      ...writeRope(config),
      hidden_act: writeActivation(feedForward.activation),
      attention_bias: attention.inputBias,
      mlp_bias: feedForward.bias,
    }
  },
  links: (config) => linksOf(config),
}
