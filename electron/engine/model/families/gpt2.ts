import { LLAMA } from '#contract'
import { assemble } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'

/** GPT-2 and DistilGPT2: layer norms, learned positions, a plain feed-forward; matrices lie as [in, out]. */
export const gpt2: Family = {
  architecture: 'GPT2LMHeadModel',
  prefix: 'transformer.',
  read(config) {
    const width = config.size('n_embd', 768)
    const context = config.size('n_positions', 1024)
    const heads = config.size('n_head', 12)
    config.only('n_ctx', context)
    config.ignore('reorder_and_upcast_attn')
    return assemble(
      config,
      'gpt2',
      {
        vocab: config.size('vocab_size'),
        width,
        layers: config.layers('n_layer', 12),
        heads,
        kvHeads: heads,
        hidden: config.size('n_inner', 4 * width),
        context,
        headSize: width / heads,
      },
      {
        tied: config.flag('tie_word_embeddings', true),
        epsilon: config.positive('layer_norm_epsilon', 1e-5),
      },
      {
        norm: { kind: 'layer', bias: true },
        positions: { learned: 0 },
        attention: {
          inputBias: true,
          outputBias: true,
          ...(!config.flag('scale_attn_weights', true) && { scale: 1 }),
          byDepth: config.flag('scale_attn_by_inverse_layer_idx', false),
        },
        feedForward: {
          gated: false,
          activation: readActivation(config, 'activation_function', 'gelu_new'),
          bias: true,
        },
      },
    )
  },
  write(config) {
    const { attention, feedForward } = config.architecture ?? LLAMA
    return {
      n_embd: config.width,
      n_inner: config.hidden,
      n_layer: config.layers,
      n_head: config.heads,
      n_positions: config.context,
      layer_norm_epsilon: config.normEpsilon,
      activation_function: writeActivation(feedForward.activation),
      scale_attn_weights: attention.scale !== 1,
      scale_attn_by_inverse_layer_idx: attention.byDepth,
    }
  },
  links: (config) =>
    linksOf(
      config,
      {
        layers: 'transformer.h.',
        embedding: 'transformer.wte.weight',
        positions: 'transformer.wpe.weight',
        finalNorm: 'transformer.ln_f',
        layer: {
          attentionNorm: 'ln_1.weight',
          attentionNormBias: 'ln_1.bias',
          output: 'attn.c_proj.weight',
          outputBias: 'attn.c_proj.bias',
          feedForwardNorm: 'ln_2.weight',
          feedForwardNormBias: 'ln_2.bias',
          up: 'mlp.c_fc.weight',
          upBias: 'mlp.c_fc.bias',
          down: 'mlp.c_proj.weight',
          downBias: 'mlp.c_proj.bias',
        },
      },
      [
        { theirs: 'attn.c_attn.weight', ours: ['query', 'key', 'value'], transposed: true },
        { theirs: 'attn.c_attn.bias', ours: ['queryBias', 'keyBias', 'valueBias'] },
      ],
      ['output', 'up', 'down'],
    ),
}
