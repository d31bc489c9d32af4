import { judgePairs, type Method } from '../comparison'

/** How intervals of differences are made, in words. */
export const BOOTSTRAP = 'paired bootstrap over seeds and held-out documents (10,000 replicates, seeded)'

/** Which methods differ from the baseline's by more than chance, and in what. */
export interface Marking {
  /** Whether a method does, in a metric; of others than perplexity and bits per byte nothing says. */
  of: (method: Method, key: string) => boolean
  /** What a mark says. */
  meaning: string
}

/** The verdicts on all methods against one, which marks say in tables. */
export function markingAgainst(base: Method, methods: readonly Method[]): Marking {
  const others = methods.filter((method) => method !== base && method.runs.some((r) => r.documents.length))
  const pairs = others.map((method) => [method, base] as const)
  const realIn = (unit: 'crossEntropy' | 'bitsPerByte') => {
    const verdicts = judgePairs(pairs, { unit })
    return new Set(others.filter((_, i) => verdicts[i]?.real))
  }
  // Perplexity is judged by its logarithm.
  const real = new Map([
    ['perplexity', realIn('crossEntropy')],
    ['bitsPerByte', realIn('bitsPerByte')],
  ])
  return {
    of: (method, key) => real.get(key)?.has(method) ?? false,
    meaning: `differs from ${base.label}: the 95 % interval of the difference (${BOOTSTRAP}) leaves 0 out, and p is below 0.05 after Holm’s correction over the rows. Perplexity and bits per byte are tested.`,
  }
}
