import { LLAMA } from '#contract'
import { assemble, readSizes, turnedShare, windowIn, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** Phi 3 and 3.5: a Llama whose matrices with the same input are one, with LongRoPE for long texts. */
export const phi3: Family = {
  architecture: 'Phi3ForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config)
    const window = config.isNull('sliding_window') || !config.has('sliding_window')
    const windows = Array.from({ length: sizes.layers }, () =>
      window ? null : config.size('sliding_window'),
    )
    const kinds = { su: 'longrope', yarn: 'longrope' }
    return assemble(
      config,
      'phi3',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('rms_norm_eps', 1e-5),
        rope: readRope(config, {
          size: sizes.headSize!,
          context: sizes.context,
          share: 1,
          original: 4096,
          kinds,
        }),
        windows,
      },
      { feedForward: { activation: readActivation(config, 'hidden_act', 'silu') } },
    )
  },
  write(config) {
    const { positions, feedForward } = config.architecture ?? LLAMA
    const { scaling } = positions.rotary[0]!
    return {
      ...writeSizes(config),
      // Their default is another number, and it goes before what the scaling says.
      original_max_position_embeddings: scaling?.kind === 'longrope' ? scaling.original : config.context,
      rms_norm_eps: config.normEpsilon,
      ...writeRope(config),
      partial_rotary_factor: turnedShare(config),
      sliding_window: windowIn(config),
      hidden_act: writeActivation(feedForward.activation),
    }
  },
  links: (config) =>
    linksOf(config, {}, [
      { theirs: 'self_attn.qkv_proj.weight', ours: ['query', 'key', 'value'] },
      { theirs: 'mlp.gate_up_proj.weight', ours: ['gate', 'up'] },
    ]),
}
