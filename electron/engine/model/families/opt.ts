import { LLAMA } from '#contract'
import { assemble } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'

/** Rows of the table of positions before that of position 0. */
const OFFSET = 2

/** OPT: layer norms before or after, learned positions, a plain feed-forward. */
export const opt: Family = {
  architecture: 'OPTForCausalLM',
  prefix: 'model.',
  read(config) {
    const width = config.size('hidden_size')
    const heads = config.size('num_attention_heads')
    const before = config.flag('do_layer_norm_before', true)
    const learned = config.flag('layer_norm_elementwise_affine', true)
    const bias = config.flag('enable_bias', true)
    const embedding = config.size('word_embed_proj_dim', width)
    return assemble(
      config,
      'opt',
      {
        vocab: config.size('vocab_size'),
        width,
        layers: config.layers('num_hidden_layers'),
        heads,
        kvHeads: heads,
        hidden: config.size('ffn_dim'),
        context: config.size('max_position_embeddings'),
        headSize: width / heads,
      },
      { tied: config.flag('tie_word_embeddings', true), epsilon: 1e-5 },
      {
        norm: {
          kind: 'layer',
          gain: learned,
          bias: learned,
          place: before ? 'before' : 'sum',
          final: !config.flag('_remove_final_layer_norm', false) && before,
        },
        positions: { learned: OFFSET },
        attention: { inputBias: bias, outputBias: bias },
        feedForward: {
          gated: false,
          activation: readActivation(config, 'activation_function', 'relu'),
          bias,
        },
        ...(embedding !== width && { embedding: { width: embedding } }),
      },
    )
  },
  write(config) {
    const { norm, attention, feedForward, embedding } = config.architecture ?? LLAMA
    const before = norm.place === 'before'
    return {
      hidden_size: config.width,
      ffn_dim: config.hidden,
      num_hidden_layers: config.layers,
      num_attention_heads: config.heads,
      max_position_embeddings: config.context,
      word_embed_proj_dim: embedding.width ?? config.width,
      do_layer_norm_before: before,
      _remove_final_layer_norm: before && !norm.final,
      layer_norm_elementwise_affine: norm.gain,
      enable_bias: attention.inputBias,
      activation_function: writeActivation(feedForward.activation),
    }
  },
  links: (config) =>
    linksOf(config, {
      layers: 'model.decoder.layers.',
      embedding: 'model.decoder.embed_tokens.weight',
      positions: 'model.decoder.embed_positions.weight',
      projectIn: 'model.decoder.project_in.weight',
      projectOut: 'model.decoder.project_out.weight',
      finalNorm: 'model.decoder.final_layer_norm',
      layer: {
        attentionNorm: 'self_attn_layer_norm.weight',
        attentionNormBias: 'self_attn_layer_norm.bias',
        output: 'self_attn.out_proj.weight',
        outputBias: 'self_attn.out_proj.bias',
        feedForwardNorm: 'final_layer_norm.weight',
        feedForwardNormBias: 'final_layer_norm.bias',
        up: 'fc1.weight',
        upBias: 'fc1.bias',
        down: 'fc2.weight',
        downBias: 'fc2.bias',
      },
    }),
}
