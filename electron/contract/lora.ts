import { z } from 'zod'
import { layerWeight, weightShapes, type LayerWeight } from './weights'
import type { ModelConfig } from './model'

/** A layer's matrices, which adapters may stand beside. */
export const matrices = [
  'query',
  'key',
  'value',
  'output',
  'gate',
  'up',
  'down',
] as const satisfies readonly LayerWeight[]
export type MatrixName = (typeof matrices)[number]

const GROUPS = { all: matrices, attention: ['query', 'key', 'value', 'output'] } as const satisfies Record<
  string,
  readonly MatrixName[]
>

/**
 * Low-rank adaptation (Hu et al. 2021): a matrix W stays as it is, and W + alpha / rank * B A is computed with; A [rank,
 * in] and B [out, rank] alone are trained.
 */
export const lora = z.strictObject({
  rank: z.number().int().positive().default(8),
  alpha: z.number().positive().default(16),
  /** Which matrices of each layer have adapters: all, those of the attention, or a list. */
  targets: z.union([z.enum(['all', 'attention']), z.array(z.enum(matrices)).min(1)]).default('all'),
  /** Share of A's inputs that are left out in training. */
  dropout: z.number().min(0).lt(1).default(0),
})
export type Lora = z.output<typeof lora>

/** What stands beside a checkpoint's adapters: how they are merged, and with what. */
export const storedLora = lora.extend({
  /** SHA-256 of the weights that they were trained beside: `base/model.safetensors` of the run. */
  base: z.string(),
})
export type StoredLora = z.output<typeof storedLora>

/** What the matrices' adapters are multiplied with. */
export function loraScale({ alpha, rank }: Pick<Lora, 'alpha' | 'rank'>): number {
  return alpha / rank
}

/** `….q_proj.lora_A.weight` beside `….q_proj.weight`, as PEFT calls it. */
export function adapterName(matrix: string, which: 'A' | 'B'): string {
  return matrix.replace(/\.weight$/, `.lora_${which}.weight`)
}

/** The matrices of a model that have adapters, by their names. */
export function adaptedMatrices(model: ModelConfig, { targets }: Pick<Lora, 'targets'>): string[] {
  const chosen = typeof targets === 'string' ? GROUPS[targets] : targets
  const shapes = weightShapes(model)
  return Array.from({ length: model.layers }, (_, layer) =>
    chosen.map((which) => layerWeight(layer, which)).filter((name) => shapes.has(name)),
  ).flat()
}

/** Every adapter with its shape: A [rank, in], B [out, rank]. */
export function adapterShapes(
  model: ModelConfig,
  own: Pick<Lora, 'targets' | 'rank'>,
): Map<string, number[]> {
  const shapes = weightShapes(model)
  return new Map(
    adaptedMatrices(model, own).flatMap((name) => {
      const [out, from] = shapes.get(name) as [number, number]
      return [
        [adapterName(name, 'A'), [own.rank, from]],
        [adapterName(name, 'B'), [out, own.rank]],
      ] as [string, number[]][]
    }),
  )
}

/** How many numbers a run trains of its student: its adapters', or all. */
export function trainedParameters(model: ModelConfig, own: Lora | undefined): number {
  const shapes = own ? adapterShapes(model, own) : weightShapes(model)
  return [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0)
}
