import type { ModelConfig } from '#contract'

/** Models of the sizes of ENGINE.md's configurations, for what is timed on a whole model. */
const common = { family: 'llama', context: 512, tied: true, ropeBase: 10000, normEpsilon: 1e-5 } as const
export const models: Record<'tiny' | 'A' | 'B' | 'C', ModelConfig> = {
  tiny: { ...common, vocab: 256, width: 32, layers: 2, heads: 2, kvHeads: 2, hidden: 96 },
  A: { ...common, vocab: 2048, width: 192, layers: 4, heads: 6, kvHeads: 6, hidden: 512 },
  B: { ...common, vocab: 4096, width: 384, layers: 6, heads: 6, kvHeads: 6, hidden: 1024 },
  C: { ...common, vocab: 12288, width: 512, layers: 6, heads: 8, kvHeads: 8, hidden: 1408 },
}

/** Any of the parts below: the middle of the timed repetitions. */
export function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!
}
