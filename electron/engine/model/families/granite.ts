import { attentionScale, LLAMA } from '#contract'
import { assemble, readSizes, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** Granite 3: a Llama with multipliers. */
export const granite: Family = {
  architecture: 'GraniteForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config)
    const bias = config.flag('attention_bias', false)
    return assemble(
      config,
      'granite',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
      },
      {
        attention: {
          inputBias: bias,
          outputBias: bias,
          scale: config.positive('attention_multiplier', 1),
        },
        feedForward: {
          activation: readActivation(config, 'hidden_act', 'silu'),
          bias: config.flag('mlp_bias', false),
        },
        embedding: { multiplier: config.positive('embedding_multiplier', 1) },
        residual: config.positive('residual_multiplier', 1),
        logits: { multiplier: 1 / config.positive('logits_scaling', 1) },
      },
    )
  },
  write(config) {
    const { attention, feedForward, embedding, residual, logits } = config.architecture ?? LLAMA
    return {
      ...writeSizes(config),
      rms_norm_eps: config.normEpsilon,
      ...writeRope(config),
      hidden_act: writeActivation(feedForward.activation),
      attention_bias: attention.inputBias,
      mlp_bias: feedForward.bias,
      attention_multiplier: attentionScale(config, 0),
      embedding_multiplier: embedding.multiplier,
      residual_multiplier: residual,
      logits_scaling: 1 / logits.multiplier,
    }
  },
  links: (config) => linksOf(config),
}
