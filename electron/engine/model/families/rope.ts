import { z } from 'zod'
import type { Rotary } from '#contract'
import type { ConfigReader } from './configReader'

type Known = Rotary & { base: number }

interface RopeOptions {
  /** Of a head. */
  size: number
  context: number
  /** The base where the file has none. */
  base?: number
  /** The share of a head that is turned, where the file has none; left out in a family that turns whole heads. */
  share?: number
  /** Keys of the file in place of `rope_theta` and `partial_rotary_factor`. */
  keys?: { base?: string; share?: string }
  /** The length that was trained on first, where the file's top has none and that goes before what the part says. */
  original?: number
  /** Another family's word for a kind of scaling. */
  kinds?: Readonly<Record<string, string>>
}

/** Every key of `rope_parameters` that transformers knows; those that a kind does not use are without effect there. */
const KEYS = [
  'rope_type',
  'type',
  'rope_theta',
  'partial_rotary_factor',
  'factor',
  'original_max_position_embeddings',
  'attention_factor',
  'beta_fast',
  'beta_slow',
  'mscale',
  'mscale_all_dim',
  'truncate',
  'short_factor',
  'long_factor',
  'low_freq_factor',
  'high_freq_factor',
]

/** The rotary positions of a file: `rope_theta` with `rope_scaling`, or `rope_parameters` with both in it. */
export function readRope(config: ConfigReader, options: RopeOptions): Known {
  const part = config.part('rope_scaling')
  const parameters = part ?? config.part('rope_parameters')
  config.ignore('rope_parameters')
  return readRotary(config, parameters, options)
}

/** @param part the object with the parameters, if there is one; what it lacks is taken from the file's top */
export function readRotary(
  config: ConfigReader,
  part: ConfigReader | undefined,
  { size, context, base = 10_000, share, keys, original, kinds = {} }: RopeOptions,
): Known {
  const top = {
    base: config.positive(keys?.base ?? 'rope_theta', base),
    share: config.positive(keys?.share ?? 'partial_rotary_factor', share ?? 1),
  }
  const theta = part?.positive('rope_theta', top.base) ?? top.base
  const turned = part?.positive('partial_rotary_factor', top.share) ?? top.share
  const dimensions = Math.trunc(size * turned)
  if ((share === undefined && turned !== 1) || dimensions % 2 || dimensions < 2) {
    const reader = part?.has('partial_rotary_factor') ? part : config
    const expected = share === undefined ? '1' : 'a whole number of pairs of dimensions'
    throw reader.refused(
      reader === part ? 'partial_rotary_factor' : (keys?.share ?? 'partial_rotary_factor'),
      expected,
    )
  }
  const scaling = part && readScaling(config, part, { context, dimensions, original, kinds })
  part?.ignore(...KEYS)
  part?.finish()
  config.ignore('original_max_position_embeddings')
  return { base: theta, ...(dimensions !== size && { dimensions }), ...(scaling && { scaling }) }
}

interface Scaled {
  context: number
  dimensions: number
  original: number | undefined
  kinds: Readonly<Record<string, string>>
}

const KINDS = ['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope'] as const

function readScaling(
  config: ConfigReader,
  part: ConfigReader,
  { context, dimensions, original: top, kinds }: Scaled,
): Rotary['scaling'] {
  const key = part.has('rope_type') ? 'rope_type' : 'type'
  const word = part.word(key, [...KINDS, ...Object.keys(kinds)] as (typeof KINDS)[number][], 'default')
  const kind = (kinds[word] ?? word) as (typeof KINDS)[number]
  if (kind === 'default') return undefined
  if (kind === 'linear') return { kind, factor: part.positive('factor') }
  if (kind === 'dynamic') {
    if (dimensions < 4) throw part.refused(key, 'heads of which more than 2 dimensions are turned')
    return { kind, factor: part.positive('factor'), original: context }
  }
  const own = part.size('original_max_position_embeddings', context)
  const above = 'original_max_position_embeddings'
  const original = top !== undefined || config.has(above) ? config.size(above, top) : own
  if (kind === 'llama3') {
    const highFrequency = part.positive('high_freq_factor')
    const lowFrequency = part.positive('low_freq_factor')
    if (highFrequency <= lowFrequency) throw part.refused('high_freq_factor', 'more than low_freq_factor')
    return { kind, factor: part.positive('factor'), lowFrequency, highFrequency, original }
  }
  const factor = part.positive('factor', context / original)
  const fallback = kind === 'yarn' ? yarnAttention(part, factor) : longAttention(factor, original)
  const attention = part.number('attention_factor', fallback)
  if (kind === 'yarn') {
    const fast = part.number('beta_fast', 0) || 32
    const slow = part.number('beta_slow', 0) || 1
    return { kind, factor, original, attention, fast, slow, whole: part.flag('truncate', true) }
  }
  const divisors = (name: string) => {
    const found = part.list(name, z.number().positive(), dimensions / 2)
    if (!found) throw part.refused(name, `a list of ${dimensions / 2}`)
    return found
  }
  return { kind, short: divisors('short_factor'), long: divisors('long_factor'), original, attention }
}

/** YaRN's temperature of attention, which cosines and sines are multiplied by. */
function yarnAttention(part: ConfigReader, factor: number): number {
  const temperature = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1)
  const [scale, all] = [part.number('mscale', 0), part.number('mscale_all_dim', 0)]
  return scale && all ? temperature(scale) / temperature(all) : temperature(1)
}

function longAttention(factor: number, original: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
}

/** `rope_scaling` of a rotary position, as both old and new versions of transformers read it; undefined for none. */
export function writeScaling({ scaling }: Rotary): Record<string, unknown> | undefined {
  switch (scaling?.kind) {
    case undefined:
      return undefined
    case 'linear':
    case 'dynamic':
      return { rope_type: scaling.kind, factor: scaling.factor }
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequency,
        high_freq_factor: scaling.highFrequency,
        original_max_position_embeddings: scaling.original,
      }
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.original,
        attention_factor: scaling.attention,
        beta_fast: scaling.fast,
        beta_slow: scaling.slow,
        truncate: scaling.whole,
      }
    case 'longrope':
      return {
        rope_type: 'longrope',
        short_factor: scaling.short,
        long_factor: scaling.long,
        original_max_position_embeddings: scaling.original,
        attention_factor: scaling.attention,
      }
  }
}
