import {
  architecture,
  badInput,
  headSize,
  LLAMA,
  type ArchitectureInput,
  type Family as Name,
  type ModelConfig,
  type Rotary,
} from '#contract'
import { z } from 'zod'
import type { ConfigReader } from './configReader'
import { writeScaling } from './rope'

type Sizes = Pick<
  ModelConfig,
  'vocab' | 'width' | 'layers' | 'heads' | 'kvHeads' | 'hidden' | 'context' | 'headSize'
>

/** The sizes under the names that most families have for them. */
export function readSizes(
  config: ConfigReader,
  { kvHeads, headSize: own }: { kvHeads?: number; headSize?: number | 'none' } = {},
): Sizes {
  const width = config.size('hidden_size')
  const heads = config.size('num_attention_heads')
  const plain = width / heads
  if (own === 'none') config.only('head_dim', plain)
  return {
    vocab: config.size('vocab_size'),
    width,
    layers: config.layers('num_hidden_layers'),
    heads,
    kvHeads: config.size('num_key_value_heads', kvHeads ?? heads),
    hidden: config.size('intermediate_size'),
    context: config.size('max_position_embeddings'),
    headSize:
      own === 'none' ? plain : config.size('head_dim', own ?? (Number.isInteger(plain) ? plain : undefined)),
  }
}

/** Those of a file, as `readSizes` reads them. */
export function writeSizes(config: ModelConfig): Record<string, unknown> {
  return {
    hidden_size: config.width,
    intermediate_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    max_position_embeddings: config.context,
  }
}

interface Parts {
  tied: boolean
  epsilon: number
  /** The rotary positions: one in all layers, or several with the choice of each layer. */
  rope?: (Rotary & { base: number }) | (Rotary & { base: number })[]
  byLayer?: (number | null)[]
  windows?: (number | null)[]
}

/**
 * A model of what a family's file says. What is a Llama's throughout is left out.
 *
 * @param differences from a Llama
 * @throws bad-input where the sizes do not fit each other
 */
export function assemble(
  { file }: ConfigReader,
  family: Name,
  { headSize: size, ...sizes }: Sizes,
  { tied, epsilon, rope, byLayer, windows }: Parts,
  differences: ArchitectureInput = {},
): ModelConfig {
  const all = rope === undefined ? [] : Array.isArray(rope) ? rope : [rope]
  const ropeBase = all[0]?.base ?? 10_000
  const positions: ArchitectureInput['positions'] = {
    ...differences.positions,
    rotary: all.map(({ base, ...rest }) => ({ ...(base !== ropeBase && { base }), ...rest })),
    ...(byLayer?.some((which) => which !== 0) && { byLayer }),
  }
  const attention = {
    ...differences.attention,
    ...(windows?.some((window) => window !== null) && { windows }),
  }
  const own = architecture.parse({ ...differences, positions, attention })
  const config: ModelConfig = {
    family,
    ...sizes,
    tied,
    ropeBase,
    normEpsilon: epsilon,
    ...(size !== sizes.width / sizes.heads && { headSize: size }),
    ...(JSON.stringify(own) !== JSON.stringify(LLAMA) && { architecture: own }),
  }
  if (!Number.isInteger(headSize(config)))
    throw badInput(`${sizes.heads} heads do not divide the width ${sizes.width}`, { file })
  if (sizes.heads % sizes.kvHeads)
    throw badInput(`${sizes.kvHeads} key/value heads do not divide ${sizes.heads} heads`, { file })
  return config
}

const layerType = z.enum(['full_attention', 'sliding_attention'])
export type LayerType = z.output<typeof layerType>

/** What kind of attention each layer has. */
export function readLayerTypes(
  config: ConfigReader,
  layers: number,
  fallback: (layer: number) => LayerType,
): LayerType[] {
  return (
    config.list('layer_types', layerType, layers) ?? Array.from({ length: layers }, (_, i) => fallback(i))
  )
}

export function writeLayerTypes(config: ModelConfig): LayerType[] {
  const { windows } = (config.architecture ?? LLAMA).attention
  return Array.from({ length: config.layers }, (_, layer) =>
    windows?.[layer] ? 'sliding_attention' : 'full_attention',
  )
}

/** The window that layers have which have one; null for none. */
export function windowIn(config: ModelConfig): number | null {
  return config.architecture?.attention.windows?.find((window) => window !== null) ?? null
}

/** Of each layer the window of its kind. */
export function windowsOf(types: readonly LayerType[], window: number | undefined): (number | null)[] {
  return types.map((type) => (type === 'sliding_attention' ? (window ?? null) : null))
}

/** `rope_theta` and `rope_scaling`, which old and new versions of transformers read. */
export function writeRope(config: ModelConfig): Record<string, unknown> {
  const scaling = writeScaling((config.architecture ?? LLAMA).positions.rotary[0]!)
  return { rope_theta: config.ropeBase, ...(scaling && { rope_scaling: scaling }) }
}

/** The share of a head that is turned. */
export function turnedShare(config: ModelConfig): number {
  const { dimensions = headSize(config) } = (config.architecture ?? LLAMA).positions.rotary[0]!
  return dimensions / headSize(config)
}
