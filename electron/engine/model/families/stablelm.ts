import { layerWeight, LLAMA } from '#contract'
import { assemble, readSizes, turnedShare, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family, type Link } from './family'
import { readRope } from './rope'

/** StableLM: layer norms, a part of each head turned, and a norm of its own for each head, where it has them. */
export const stablelm: Family = {
  architecture: 'StableLmForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config, { kvHeads: 32, headSize: 'none' })
    // Names of before it was one of transformers' own, which stand beside the later ones.
    config.only('norm_eps', config.positive('layer_norm_eps', 1e-5))
    config.only('rope_pct', config.positive('partial_rotary_factor', 0.25))
    return assemble(
      config,
      'stablelm',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('layer_norm_eps', 1e-5),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context, share: 0.25 }),
      },
      {
        norm: { kind: 'layer', bias: true },
        parallel: config.flag('use_parallel_residual', false) ? 'shared' : 'no',
        attention: {
          inputBias: config.flag('use_qkv_bias', false),
          norm: config.flag('qk_layernorm', false) ? 'each-head' : 'none',
        },
        feedForward: { activation: readActivation(config, 'hidden_act', 'silu') },
      },
    )
  },
  write(config) {
    const { parallel, attention, feedForward } = config.architecture ?? LLAMA
    return {
      ...writeSizes(config),
      layer_norm_eps: config.normEpsilon,
      ...writeRope(config),
      partial_rotary_factor: turnedShare(config),
      hidden_act: writeActivation(feedForward.activation),
      use_parallel_residual: parallel !== 'no',
      use_qkv_bias: attention.inputBias,
      qk_layernorm: attention.norm !== 'none',
    }
  },
  links(config) {
    const { heads, kvHeads, layers } = config
    const links = linksOf(config)
    if (config.architecture?.attention.norm !== 'each-head') return links
    const plain = links.filter(({ ours: [name] }) => !/\.[qk]_norm\.weight$/.test(name!))
    const each = (layer: number, name: string, count: number, ours: 'queryNorm' | 'keyNorm'): Link => ({
      theirs: Array.from(
        { length: count },
        (_, head) => `model.layers.${layer}.self_attn.${name}.norms.${head}.weight`,
      ),
      ours: [layerWeight(layer, ours)],
    })
    const norms = Array.from({ length: layers }, (_, layer) => [
      each(layer, 'q_layernorm', heads, 'queryNorm'),
      each(layer, 'k_layernorm', kvHeads, 'keyNorm'),
    ])
    return [...plain, ...norms.flat()]
  },
}
