import { LLAMA } from '#contract'
import { assemble, readSizes, turnedShare, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope, writeScaling } from './rope'

/** GPT-NeoX and Pythia: layer norms, attention and feed-forward side by side, a part of each head turned. */
export const gptNeox: Family = {
  architecture: 'GPTNeoXForCausalLM',
  prefix: 'gpt_neox.',
  head: 'embed_out.weight',
  read(config) {
    const sizes = readSizes(config, { headSize: 'none' })
    config.only('num_key_value_heads', sizes.heads)
    const bias = config.flag('attention_bias', true)
    return assemble(
      config,
      'gpt_neox',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('layer_norm_eps', 1e-5),
        rope: readRope(config, {
          size: sizes.headSize!,
          context: sizes.context,
          share: 0.25,
          keys: { base: 'rotary_emb_base', share: 'rotary_pct' },
        }),
      },
      {
        norm: { kind: 'layer', bias: true },
        parallel: config.flag('use_parallel_residual', true) ? 'own' : 'no',
        attention: { inputBias: bias, outputBias: bias },
        feedForward: {
          gated: false,
          activation: readActivation(config, 'hidden_act', 'gelu'),
          bias: true,
        },
      },
    )
  },
  write(config) {
    const { parallel, attention, feedForward, positions } = config.architecture ?? LLAMA
    const { num_key_value_heads: _, ...sizes } = writeSizes(config)
    const scaling = writeScaling(positions.rotary[0]!)
    return {
      ...sizes,
      layer_norm_eps: config.normEpsilon,
      rotary_emb_base: config.ropeBase,
      rotary_pct: turnedShare(config),
      ...(scaling && { rope_scaling: scaling }),
      use_parallel_residual: parallel !== 'no',
      attention_bias: attention.inputBias,
      hidden_act: writeActivation(feedForward.activation),
    }
  },
  links: (config) =>
    linksOf(
      config,
      {
        layers: 'gpt_neox.layers.',
        embedding: 'gpt_neox.embed_in.weight',
        finalNorm: 'gpt_neox.final_layer_norm',
        head: 'embed_out.weight',
        layer: {
          output: 'attention.dense.weight',
          outputBias: 'attention.dense.bias',
          up: 'mlp.dense_h_to_4h.weight',
          upBias: 'mlp.dense_h_to_4h.bias',
          down: 'mlp.dense_4h_to_h.weight',
          downBias: 'mlp.dense_4h_to_h.bias',
        },
      },
      [
        {
          theirs: 'attention.query_key_value.weight',
          ours: ['query', 'key', 'value'],
          heads: config.heads,
        },
        {
          theirs: 'attention.query_key_value.bias',
          ours: ['queryBias', 'keyBias', 'valueBias'],
          heads: config.heads,
        },
      ],
    ),
}
