import { rotaries, type ModelConfig, type Rotary } from '#contract'

type Known = ReturnType<typeof rotaries>[number]

/** Angles of a position: its number times these, one for each pair of dimensions; cosine and sine times `factor`. */
export interface Frequencies {
  values: Float64Array
  factor: number
}

/** Cosines and sines of positions in a row, row-major [count, dimensions], both halves alike. */
export interface RotaryRows {
  cosine: Float32Array
  sine: Float32Array
}

/**
 * Frequencies of rotary positions (Su et al. 2021), changed for longer texts as the model's scaling says: divided
 * (Chen et al. 2023), with a base that grows with the text (dynamic NTK), Llama 3's and YaRN's (Peng et al. 2023) ramp
 * from the slow to the fast ones, or LongRoPE's divisors (Ding et al. 2024).
 *
 * @param length of the sequence that is read, in tokens
 */
export function frequencies({ base, dimensions, scaling }: Known, length: number): Frequencies {
  const plain = (from: number) =>
    Float64Array.from({ length: dimensions / 2 }, (_, i) => from ** ((-2 * i) / dimensions))
  const values = plain(base)
  switch (scaling?.kind) {
    case undefined:
      return { values, factor: 1 }
    case 'linear':
      return { values: values.map((f) => f / scaling.factor), factor: 1 }
    case 'dynamic': {
      const { factor, original } = scaling
      const growth = (factor * Math.max(length, original)) / original - (factor - 1)
      return { values: plain(base * growth ** (dimensions / (dimensions - 2))), factor: 1 }
    }
    case 'llama3':
      return { values: values.map((f) => llama3(f, scaling)), factor: 1 }
    case 'yarn':
      return { values: yarn(values, base, dimensions, scaling), factor: scaling.attention }
    case 'longrope': {
      const divisors = length > scaling.original ? scaling.long : scaling.short
      return { values: values.map((f, i) => f / divisors[i]!), factor: scaling.attention }
    }
  }
}

type Scaling<Kind> = Extract<NonNullable<Rotary['scaling']>, { kind: Kind }>

/** Slow frequencies are divided, fast ones stay, those between are mixed. */
function llama3(
  frequency: number,
  { factor, lowFrequency, highFrequency, original }: Scaling<'llama3'>,
): number {
  const turns = (original * frequency) / (2 * Math.PI)
  if (turns > highFrequency) return frequency
  if (turns < lowFrequency) return frequency / factor
  const smooth = (turns - lowFrequency) / (highFrequency - lowFrequency)
  return ((1 - smooth) * frequency) / factor + smooth * frequency
}

function yarn(
  values: Float64Array,
  base: number,
  dimensions: number,
  { factor, original, fast, slow, whole }: Scaling<'yarn'>,
): Float64Array {
  /** The dimension whose angle makes so many turns over the original length. */
  const dimension = (turns: number) =>
    (dimensions * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base))
  const ends = [dimension(fast), dimension(slow)] as const
  const low = Math.max(whole ? Math.floor(ends[0]) : ends[0], 0)
  const high = Math.min(whole ? Math.ceil(ends[1]) : ends[1], dimensions - 1)
  const width = low === high ? 0.001 : high - low
  return values.map((f, i) => {
    const divided = Math.min(1, Math.max(0, (i - low) / width))
    return (f / factor) * divided + f * (1 - divided)
  })
}

/**
 * Rows of the tables of each rotary position that the model has.
 *
 * @param from the first position
 * @param length of the sequence that is read, in tokens; some scalings depend on it
 */
export function rotaryRows(config: ModelConfig, from: number, count: number, length: number): RotaryRows[] {
  return rotaries(config).map((rotary) => {
    const { dimensions } = rotary
    const { values, factor } = frequencies(rotary, length)
    const [cosine, sine] = [new Float32Array(count * dimensions), new Float32Array(count * dimensions)]
    for (let t = 0; t < count; t++) {
      for (const [i, frequency] of values.entries()) {
        const angle = (from + t) * frequency
        for (const at of [t * dimensions + i, t * dimensions + dimensions / 2 + i]) {
          cosine[at] = factor * Math.cos(angle)
          sine[at] = factor * Math.sin(angle)
        }
      }
    }
    return { cosine, sine }
  })
}

/** The longest sequence whose tables would change if it went on: keys in a cache are of the tables before. */
export function turningPoint(config: ModelConfig): number {
  const points = rotaries(config).map(({ scaling }) =>
    scaling?.kind === 'longrope' ? scaling.original : Infinity,
  )
  return Math.min(Infinity, ...points)
}
