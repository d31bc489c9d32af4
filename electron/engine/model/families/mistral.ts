import { headSize, LLAMA } from '#contract'
import { assemble, readSizes, windowIn, writeRope, writeSizes } from './assemble'
import { linksOf, readActivation, writeActivation, type Family } from './family'
import { readRope } from './rope'

/** The window of a file that has no such key; null is none. */
const WINDOW = 4096

/** Mistral: a Llama of which every layer may look at a window. */
export const mistral: Family = {
  architecture: 'MistralForCausalLM',
  prefix: 'model.',
  read(config) {
    const sizes = readSizes(config, { kvHeads: 8 })
    const window = config.isNull('sliding_window') ? null : config.size('sliding_window', WINDOW)
    return assemble(
      config,
      'mistral',
      sizes,
      {
        tied: config.flag('tie_word_embeddings', false),
        epsilon: config.positive('rms_norm_eps', 1e-6),
        rope: readRope(config, { size: sizes.headSize!, context: sizes.context }),
        windows: Array.from({ length: sizes.layers }, () => window),
      },
      { feedForward: { activation: readActivation(config, 'hidden_act', 'silu') } },
    )
  },
  write: (config) => ({
    ...writeSizes(config),
    head_dim: headSize(config),
    rms_norm_eps: config.normEpsilon,
    ...writeRope(config),
    sliding_window: windowIn(config),
    hidden_act: writeActivation((config.architecture ?? LLAMA).feedForward.activation),
  }),
  links: (config) => linksOf(config),
}
