import {
  EMBEDDING,
  FINAL_NORM,
  FINAL_NORM_BIAS,
  HEAD,
  layerWeight,
  layerWeights,
  POSITIONS,
  PROJECT_IN,
  PROJECT_OUT,
  weightShapes,
  type Activation,
  type LayerWeight,
  type ModelConfig,
} from '#contract'
import type { ConfigReader } from './configReader'

/** Tensors of a checkpoint and what they are here: rows of the ones, one after the other, are rows of the others. */
export interface Link {
  theirs: readonly string[]
  ours: readonly string[]
  /** Theirs are [in, out]. */
  transposed?: boolean
  /** Rows of theirs go head by head, each head's of all of ours in turn. */
  heads?: number
}

/**
 * A family of models as transformers saves them: what its `config.json` means, and the names of its tensors. A new one
 * is a file in this folder and a line in `index.ts` and in `families` of the contract.
 */
export interface Family {
  /** Its class of transformers. */
  architecture: string
  /** @returns with the vocabulary that the embedding has rows for */
  read(config: ConfigReader): ModelConfig
  /** `config.json`, without what all families have. */
  write(config: ModelConfig): Record<string, unknown>
  links(config: ModelConfig): Link[]
  /** Before every name but the head's; checkpoints of the model without its head leave it out. */
  prefix: string
  /** The head's name. Default: ours. */
  head?: string
}

/** Names of a family's tensors that are not ours. */
export interface Names {
  /** Before a layer's number. Default: `model.layers.` */
  layers?: string
  /** Below that. */
  layer?: Partial<Record<LayerWeight, string>>
  embedding?: string
  positions?: string
  projectIn?: string
  projectOut?: string
  /** Without `.weight` and `.bias`. */
  finalNorm?: string
  head?: string
}

/** Tensors of a layer that stand for several of ours. */
export interface Fused extends Pick<Link, 'transposed' | 'heads'> {
  theirs: string
  ours: readonly LayerWeight[]
}

/**
 * A link for each tensor of a family.
 *
 * @param transposed ours whose matrices lie the other way round
 */
export function linksOf(
  config: ModelConfig,
  names: Names = {},
  fused: readonly Fused[] = [],
  transposed: readonly LayerWeight[] = [],
): Link[] {
  const shapes = weightShapes(config)
  const outside: Record<string, string | undefined> = {
    [EMBEDDING]: names.embedding,
    [POSITIONS]: names.positions,
    [PROJECT_IN]: names.projectIn,
    [PROJECT_OUT]: names.projectOut,
    [FINAL_NORM]: names.finalNorm && `${names.finalNorm}.weight`,
    [FINAL_NORM_BIAS]: names.finalNorm && `${names.finalNorm}.bias`,
    [HEAD]: names.head,
  }
  const links: Link[] = []
  for (const name of shapes.keys())
    if (!name.startsWith('model.layers.')) links.push({ theirs: [outside[name] ?? name], ours: [name] })
  const joined = new Set(fused.flatMap(({ ours }) => ours))
  for (let layer = 0; layer < config.layers; layer++) {
    const place = `${names.layers ?? 'model.layers.'}${layer}.`
    for (const which of Object.keys(layerWeights) as LayerWeight[]) {
      const own = layerWeight(layer, which)
      if (!shapes.has(own) || joined.has(which)) continue
      const theirs = place + (names.layer?.[which] ?? layerWeights[which])
      links.push({ theirs: [theirs], ours: [own], ...(transposed.includes(which) && { transposed: true }) })
    }
    for (const { theirs, ours, ...how } of fused) {
      const own = ours.map((which) => layerWeight(layer, which)).filter((name) => shapes.has(name))
      if (own.length) links.push({ theirs: [place + theirs], ours: own, ...how })
    }
  }
  return links
}

/** transformers' words for activations, the first of each the one that is written. */
const ACTIVATIONS: Readonly<Record<Activation, readonly string[]>> = {
  silu: ['silu', 'swish'],
  gelu: ['gelu', 'gelu_python'],
  'gelu-tanh': ['gelu_pytorch_tanh', 'gelu_new', 'gelu_fast', 'gelu_python_tanh', 'gelu_accurate'],
  'gelu-sigmoid': ['quick_gelu'],
  relu: ['relu'],
  'relu-squared': ['relu2'],
  tanh: ['tanh'],
}

export function readActivation(config: ConfigReader, key: string, fallback: string): Activation {
  const words = Object.values(ACTIVATIONS).flat()
  const word = config.word(key, words, fallback)
  return (Object.keys(ACTIVATIONS) as Activation[]).find((name) => ACTIVATIONS[name].includes(word))!
}

export function writeActivation(activation: Activation): string {
  return ACTIVATIONS[activation][0]!
}
