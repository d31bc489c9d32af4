import {
  attentionScale,
  badInput,
  headSize,
  LLAMA,
  rotaries,
  rotaryOf,
  windowOf,
  type Activation,
  type Family,
  type ModelConfig,
} from '#contract'

/** What llama.cpp computes of a family beside what all of the family have in common. */
export interface Known {
  /** Its name there. */
  name: string
  /** Pairs of dimensions that are turned lie side by side. */
  pairs?: boolean
  /** Matrices that are one there. */
  fused?: 'attention' | 'both'
  /** Heads may have a size of their own, and a part of one may be turned. */
  ownHead?: boolean
  partial?: boolean
  /** Biases that may be there, or must. */
  biases: { input?: boolean | 'must'; output?: boolean | 'must'; feedForward?: boolean | 'must' }
  activations: readonly Activation[]
  windows?: boolean
  /** Scalings of rotary positions. */
  scalings: readonly ('linear' | 'yarn' | 'llama3' | 'longrope')[]
  /** The head: as the model has it, always a tensor of its own, or always the embedding. */
  head?: 'own' | 'embedding'
  /** Multipliers are metadata. */
  multipliers?: boolean
}

const TURNED = ['linear', 'yarn'] as const
const silu = ['silu'] as const
/** llama.cpp has GELU's approximation by tanh alone, and takes it for both. */
const gelu = ['gelu', 'gelu-tanh'] as const

const llama: Known = {
  name: 'llama',
  pairs: true,
  ownHead: true,
  biases: { input: true, output: true, feedForward: true },
  activations: silu,
  scalings: [...TURNED, 'llama3', 'longrope'],
}
const gemma = {
  ownHead: true,
  biases: { input: true },
  activations: ['gelu-tanh'],
  windows: true,
  scalings: ['linear'],
} as const

/** By family; those that are absent are not known to llama.cpp. */
export const ggufFamilies: Readonly<Partial<Record<Family, Known>>> = {
  llama,
  mistral: llama,
  qwen2: { name: 'qwen2', biases: { input: true }, activations: silu, scalings: TURNED },
  qwen3: { name: 'qwen3', ownHead: true, biases: { input: true }, activations: silu, scalings: TURNED },
  gemma2: { name: 'gemma2', head: 'embedding', ...gemma },
  gemma3_text: { name: 'gemma3', ...gemma },
  phi3: {
    name: 'phi3',
    fused: 'both',
    partial: true,
    biases: {},
    activations: silu,
    scalings: [...TURNED, 'longrope'],
  },
  smollm3: {
    name: 'smollm3',
    pairs: true,
    ownHead: true,
    biases: { input: true },
    activations: silu,
    scalings: TURNED,
  },
  olmo2: { name: 'olmo2', biases: { input: true }, activations: silu, scalings: TURNED, head: 'own' },
  granite: { ...llama, name: 'granite', multipliers: true },
  stablelm: {
    name: 'stablelm',
    partial: true,
    biases: { input: true },
    activations: silu,
    scalings: TURNED,
    head: 'own',
  },
  gpt2: {
    name: 'gpt2',
    fused: 'attention',
    biases: { input: 'must', output: 'must', feedForward: 'must' },
    activations: gelu,
    scalings: [],
  },
  gpt_neox: {
    name: 'gptneox',
    fused: 'attention',
    partial: true,
    biases: { input: 'must', output: 'must', feedForward: 'must' },
    activations: gelu,
    scalings: TURNED,
    head: 'own',
  },
}

const narrowest = (config: ModelConfig) =>
  Math.min(...Array.from({ length: config.layers }, (_, layer) => windowOf(config, layer)))

/**
 * What llama.cpp knows of a model's family.
 *
 * @throws bad-input where it would compute something else than the model does
 */
export function knownArchitecture(config: ModelConfig): Known {
  const known = ggufFamilies[config.family]
  const expected = 'hf or onnx'
  if (!known) {
    throw badInput(`llama.cpp does not know the family "${config.family}"`, { field: 'format', expected })
  }
  const what = differences(config, known)
  if (what) throw badInput(`llama.cpp's ${known.name} cannot compute ${what}`, { field: 'format', expected })
  return known
}

/** What llama.cpp does a little otherwise, in sentences. */
export function approximations(config: ModelConfig): string[] {
  const { feedForward } = config.architecture ?? LLAMA
  const { vocab, rows = vocab, context } = config
  const sentences: string[] = []
  if (feedForward.activation === 'gelu')
    sentences.push('llama.cpp computes GELU by its approximation with tanh')
  if (rows > vocab)
    sentences.push(
      `llama.cpp may choose one of ${rows - vocab} ids that the tokenizer does not have; Retort gives them no probability`,
    )
  if (rotaries(config).some(({ scaling }) => scaling?.kind === 'longrope' && scaling.original < context))
    sentences.push(
      'llama.cpp chooses LongRoPE’s divisors by the context that it is opened with, not by the length of a text',
    )
  return sentences
}

/** The first thing of a model that llama.cpp has no place for. */
function differences(config: ModelConfig, known: Known): string | undefined {
  const { attention, feedForward, embedding, residual, logits } = config.architecture ?? LLAMA
  const { width, heads, context } = config
  const size = headSize(config)
  const wrongBias = (Object.entries(biasesOf(config)) as [keyof Known['biases'], boolean][]).find(
    ([which, has]) => (has ? !known.biases[which] : known.biases[which] === 'must'),
  )
  if (wrongBias) {
    const [which, has] = wrongBias
    return `${which === 'feedForward' ? 'a feed-forward' : `an attention's ${which}`} ${has ? 'with' : 'without'} biases`
  }
  if (!known.ownHead && size !== width / heads) return `heads of a size of ${size} in a width of ${width}`
  if (!known.activations.includes(feedForward.activation)) return `the activation ${feedForward.activation}`
  if (attention.byDepth) return 'scores that are divided by the depth'
  const scale = attentionScale(config, 0)
  if (!known.multipliers && !near(scale, usualScale(config)))
    return `scores multiplied by ${scale}, where it multiplies by ${usualScale(config)}`
  const gemma = known.name.startsWith('gemma')
  if (!known.multipliers && (residual !== 1 || logits.multiplier !== 1)) return 'multipliers'
  if (!known.multipliers && !near(embedding.multiplier, gemma ? Math.sqrt(width) : 1))
    return `embeddings multiplied by ${embedding.multiplier}`
  if (known.name === 'gemma2' && !(attention.cap && logits.cap)) return 'scores and logits without caps'
  if (known.head === 'embedding' && !config.tied) return 'a head of its own'
  const window = narrowest(config)
  if (window < context && !known.windows)
    return `windows of ${window} tokens in a context of ${context}, where it looks at the whole text`
  return rotaryDifference(config, known)
}

function biasesOf(config: ModelConfig) {
  const { attention, feedForward } = config.architecture ?? LLAMA
  return { input: attention.inputBias, output: attention.outputBias, feedForward: feedForward.bias }
}

/** What llama.cpp multiplies scores by; of the two Gemmas of 27 B, which it knows by their layers, by the width. */
function usualScale(config: ModelConfig): number {
  const { family, layers, width, heads } = config
  const large = (family === 'gemma2' && layers === 46) || (family === 'gemma3_text' && layers === 62)
  return (large ? Math.floor(width / heads) : headSize(config)) ** -0.5
}

const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.abs(b)

function rotaryDifference(config: ModelConfig, known: Known): string | undefined {
  const size = headSize(config)
  for (const [which, { dimensions, scaling }] of rotaries(config).entries()) {
    if (dimensions !== size && !known.partial) return `heads of which ${dimensions} dimensions are turned`
    const { kind = undefined } = scaling ?? {}
    if (kind && (which > 0 || !(known.scalings as readonly string[]).includes(kind)))
      return `rotary positions scaled by ${kind}`
    if (scaling?.kind !== 'yarn') continue
    const { factor, fast, slow, whole } = scaling
    if (fast !== 32 || slow !== 1 || !whole || factor <= 1) return 'a ramp of YaRN that is not the usual one'
  }
  const layers = Array.from({ length: config.layers }, (_, layer) => layer)
  if (known.name === 'smollm3') {
    const other = layers.find((l) => (rotaryOf(config, l) === undefined) !== ((l + 1) % 4 === 0))
    return other === undefined
      ? undefined
      : `layers without positions other than every fourth (layer ${other + 1})`
  }
  if (known.name === 'gemma3') {
    const other = layers.find((l) => windowOf(config, l) < Infinity !== (rotaryOf(config, l) === 1))
    const none = layers.every((l) => windowOf(config, l) === Infinity)
    return other === undefined || none ? undefined : 'windows with the rotary positions of whole texts'
  }
  const { positions } = config.architecture ?? LLAMA
  return positions.byLayer ? 'rotary positions by layer' : undefined
}
