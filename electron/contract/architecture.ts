import { z } from 'zod'

const size = z.number().int().positive()
const positive = z.number().positive()

/** Families of models: how each is read, written and named is a file of its own in engine/model/families. */
export const families = [
  'llama',
  'mistral',
  'qwen2',
  'qwen3',
  'gemma2',
  'gemma3_text',
  'phi3',
  'smollm3',
  'olmo2',
  'granite',
  'stablelm',
  'gpt2',
  'gpt_neox',
  'opt',
] as const
export type Family = (typeof families)[number]

/** What people call them. */
export const familyNames: Readonly<Record<Family, string>> = {
  llama: 'Llama',
  mistral: 'Mistral',
  qwen2: 'Qwen 2',
  qwen3: 'Qwen 3',
  gemma2: 'Gemma 2',
  gemma3_text: 'Gemma 3',
  phi3: 'Phi 3',
  smollm3: 'SmolLM 3',
  olmo2: 'OLMo 2',
  granite: 'Granite',
  stablelm: 'StableLM',
  gpt2: 'GPT-2',
  gpt_neox: 'GPT-NeoX',
  opt: 'OPT',
}

/** Families of which every query head has a key head of its own. */
export const UNGROUPED: readonly Family[] = ['gpt2', 'gpt_neox', 'opt']

/** The inner functions of a feed-forward that are known. `gelu-tanh` is GELU's approximation by tanh. */
export const activations = [
  'silu',
  'gelu',
  'gelu-tanh',
  'gelu-sigmoid',
  'relu',
  'relu-squared',
  'tanh',
] as const
export type Activation = (typeof activations)[number]

/** How rotary frequencies are changed for longer texts; `original` is the length that the model was trained on first. */
const scaling = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('linear'), factor: positive }),
  z.strictObject({ kind: z.literal('dynamic'), factor: positive, original: size }),
  z.strictObject({
    kind: z.literal('llama3'),
    factor: positive,
    lowFrequency: positive,
    highFrequency: positive,
    original: size,
  }),
  z.strictObject({
    kind: z.literal('yarn'),
    factor: positive,
    original: positive,
    /** Cosines and sines are multiplied by it. */
    attention: z.number(),
    fast: positive,
    slow: positive,
    /** Whether the ends of the ramp are whole dimensions. */
    whole: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('longrope'),
    /** Divisors of the frequencies, one a pair of dimensions: of sequences up to `original`, and of longer ones. */
    short: z.array(positive),
    long: z.array(positive),
    original: size,
    attention: z.number(),
  }),
])

const rotary = z.strictObject({
  /** Default: the model's `ropeBase`. */
  base: positive.optional(),
  /** Of a head the first dimensions, that are turned. Default: all. */
  dimensions: size.optional(),
  scaling: scaling.optional(),
})
export type Rotary = z.output<typeof rotary>

/** What a decoder computes beside its sizes. Everything has a default, which is what models of the family llama do. */
export const architecture = z.strictObject({
  norm: z
    .strictObject({
      kind: z.enum(['rms', 'layer']).default('rms'),
      /** Whether it multiplies by what is learned, by 1 + that, and adds what is learned. */
      gain: z.boolean().default(true),
      offset: z.boolean().default(false),
      bias: z.boolean().default(false),
      /** Of attention and feed-forward: their input, their output, both, or the sum of output and residual stream. */
      place: z.enum(['before', 'after', 'both', 'sum']).default('before'),
      /** Whether there is one before the head. */
      final: z.boolean().default(true),
    })
    .prefault({}),
  /** Whether attention and feed-forward read the same state: after one norm (`shared`), or each after its `own`. */
  parallel: z.enum(['no', 'shared', 'own']).default('no'),
  positions: z
    .strictObject({
      /** None, one, or several from which the layers choose. */
      rotary: z.array(rotary).default([{}]),
      /** Which of them, by layer; null for none. Default: the first, in every layer. */
      byLayer: z.array(z.number().int().nonnegative().nullable()).optional(),
      /** A learned vector for each position, position 0 at this row of the table. */
      learned: z.number().int().nonnegative().optional(),
    })
    .prefault({}),
  attention: z
    .strictObject({
      inputBias: z.boolean().default(false),
      outputBias: z.boolean().default(false),
      /** Norms of queries and keys: over a head by one gain (`head`), by a gain for each (`each-head`), over all heads. */
      norm: z.enum(['none', 'head', 'each-head', 'all']).default('none'),
      /** Scores s become cap * tanh(s / cap). */
      cap: positive.optional(),
      /** Scores are multiplied by it. Default: 1 / sqrt(head size). */
      scale: positive.optional(),
      /** Divides the scale of the n-th layer by n. */
      byDepth: z.boolean().default(false),
      /** Tokens that a token looks at, itself among them, by layer; null for all. Default: all. */
      windows: z.array(size.nullable()).optional(),
    })
    .prefault({}),
  feedForward: z
    .strictObject({
      gated: z.boolean().default(true),
      activation: z.enum(activations).default('silu'),
      bias: z.boolean().default(false),
    })
    .prefault({}),
  embedding: z
    .strictObject({
      /** Width of the table where that is not the model's: matrices lead in and out. */
      width: size.optional(),
      multiplier: positive.default(1),
    })
    .prefault({}),
  /** What attention and feed-forward add to the residual stream is multiplied by it. */
  residual: positive.default(1),
  logits: z.strictObject({ multiplier: positive.default(1), cap: positive.optional() }).prefault({}),
})
export type Architecture = z.output<typeof architecture>
export type ArchitectureInput = z.input<typeof architecture>

/** What a model of the family llama computes. */
export const LLAMA: Architecture = architecture.parse({})
