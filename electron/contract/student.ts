import { z } from 'zod'
import {
  architecture,
  families,
  LLAMA,
  type Architecture,
  type ArchitectureInput,
  type Family,
} from './architecture'
import { lora, type Lora } from './lora'
import {
  complete,
  divisible,
  headSize,
  modelFields,
  objectName,
  studentInit,
  type ModelConfig,
  type ModelSpec,
  type StudentInit,
} from './model'

type Shape = Pick<ModelConfig, 'width' | 'heads' | 'layers'>

/** Every so many layers of a SmolLM 3 one has no positions. */
const WITHOUT_POSITIONS = 4
const SHARE_TURNED = 0.25

/**
 * What a student of a family computes that begins from nothing: what is the family's own, with what its models mostly
 * have for the rest. Windows are for longer texts than a student reads; it has none.
 */
export function studentArchitecture(family: Family, shape: Shape): Architecture | undefined {
  const own = architecture.parse(differences(family, shape))
  return JSON.stringify(own) === JSON.stringify(LLAMA) ? undefined : own
}

/** From a Llama. */
function differences(family: Family, { width, heads, layers }: Shape): ArchitectureInput {
  const gemma: ArchitectureInput = {
    norm: { offset: true, place: 'both' },
    embedding: { multiplier: Math.sqrt(width) },
    feedForward: { activation: 'gelu-tanh' },
  }
  const layerNorm: ArchitectureInput['norm'] = { kind: 'layer', bias: true }
  const biased: ArchitectureInput['attention'] = { inputBias: true, outputBias: true }
  const turned = { dimensions: Math.max(2, 2 * Math.floor((SHARE_TURNED * width) / heads / 2)) }
  switch (family) {
    case 'llama':
    case 'mistral':
    case 'phi3':
    case 'granite':
      return {}
    case 'qwen2':
      return { attention: { inputBias: true } }
    case 'qwen3':
      return { attention: { norm: 'head' } }
    case 'gemma2':
      return { ...gemma, attention: { cap: 50 }, logits: { cap: 30 } }
    case 'gemma3_text':
      return { ...gemma, attention: { norm: 'head' } }
    case 'smollm3': {
      const byLayer = Array.from({ length: layers }, (_, i) => ((i + 1) % WITHOUT_POSITIONS ? 0 : null))
      return byLayer.includes(null) ? { positions: { byLayer } } : {}
    }
    case 'olmo2':
      return { norm: { place: 'after' }, attention: { norm: 'all' } }
    case 'stablelm':
      return { norm: layerNorm, positions: { rotary: [turned] } }
    case 'gpt2':
      return {
        norm: layerNorm,
        positions: { rotary: [], learned: 0 },
        attention: biased,
        feedForward: { gated: false, activation: 'gelu-tanh', bias: true },
      }
    case 'gpt_neox':
      return {
        norm: layerNorm,
        parallel: 'own',
        positions: { rotary: [turned] },
        attention: biased,
        feedForward: { gated: false, activation: 'gelu', bias: true },
      }
    case 'opt':
      return {
        norm: layerNorm,
        positions: { rotary: [], learned: 2 },
        attention: biased,
        feedForward: { gated: false, activation: 'relu', bias: true },
      }
  }
}

/** A model of some of another's layers, numbered from 0: the rest of what it computes is the same. */
export function withLayers(model: ModelConfig, layers: readonly number[]): ModelConfig {
  const some = { ...model, layers: layers.length }
  if (!model.architecture) return some
  const { positions, attention, ...rest } = model.architecture
  const chosen = <T>(all: readonly T[] | undefined) => all && layers.map((layer) => all[layer]!)
  return {
    ...some,
    architecture: {
      ...rest,
      positions: { ...positions, ...(positions.byLayer && { byLayer: chosen(positions.byLayer) }) },
      attention: { ...attention, ...(attention.windows && { windows: chosen(attention.windows) }) },
    },
  }
}

/** Which layers of a model of so many `layers` says, from 0. `every-other` takes the last always. */
export function chosenLayers(layers: StudentLayers, count: number): number[] {
  if (Array.isArray(layers)) return layers
  const all = Array.from({ length: count }, (_, i) => i)
  if (layers === 'all') return all
  const half = Math.ceil(count / 2)
  return all.slice(0, half).map((i) => Math.round(((i + 1) * count) / half) - 1)
}

export const studentLayers = z.union([
  z.enum(['all', 'every-other']),
  z.array(z.number().int().nonnegative()).min(1),
])
export type StudentLayers = z.output<typeof studentLayers>

const studentFields = z.strictObject({
  ...modelFields,
  /** A model of the library that it begins as: its family, its tokenizer, its sizes, and the `layers` that are named. */
  from: objectName.optional(),
  layers: z.union([modelFields.layers, studentLayers]).optional(),
  width: modelFields.width.optional(),
  heads: modelFields.heads.optional(),
  family: z.enum(families).optional(),
  context: modelFields.width.optional(),
  tied: z.boolean().optional(),
  init: studentInit.optional(),
  /** Trains adapters beside the matrices of the model that it begins as, and nothing else. */
  lora: lora.optional(),
})

/** A student whose sizes are written down, and where its first weights come from. */
export type SizedStudent = ModelSpec & { init: StudentInit; from?: undefined; lora?: undefined }
/** One that begins as some of a model's layers. */
export interface DerivedStudent {
  from: string
  layers: StudentLayers
  lora?: Lora
  init?: undefined
}
export type StudentSpec = SizedStudent | DerivedStudent

/** A student's architecture, or the model that it begins as. */
export const studentSpec = studentFields.superRefine(checkStudent).transform((spec): StudentSpec => {
  if (spec.from !== undefined) {
    const { from, layers, lora } = spec
    return { from, layers: (layers as StudentLayers) ?? 'all', ...(lora && { lora }) }
  }
  const { from: _, lora: __, init = 'random', ...sizes } = spec
  const sized = z.object(modelFields).parse(sizes)
  return { ...complete(sized), init }
})

function checkStudent(spec: z.output<typeof studentFields>, context: z.core.$RefinementCtx): void {
  const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (spec.from !== undefined) {
    const { from: _, layers, lora: __, ...others } = spec
    for (const [extra, value] of Object.entries(others))
      if (value !== undefined) wrong(extra, 'a student that begins from a model has that of the model')
    if (typeof layers === 'number') wrong('layers', 'expected all, every-other or a list of layers from 0')
    return
  }
  if (spec.lora) wrong('lora', 'adapters stand beside a model that is there: expected student.from with it')
  for (const key of ['width', 'layers', 'heads'] as const)
    if (spec[key] === undefined) wrong(key, 'is missing; expected a number')
  if (spec.layers !== undefined && typeof spec.layers !== 'number')
    wrong('layers', 'a choice of layers goes with student.from')
  const { width, heads, kvHeads, hidden, family = 'llama' } = spec
  if (width && heads) divisible({ family, width, heads, kvHeads, hidden }, context)
}

/** Whether layers of the one may be those of the other: they compute the same. */
export function sameLayers(one: ModelConfig, other: ModelConfig): boolean {
  const key = (model: ModelConfig) => {
    const { norm, parallel, attention, feedForward, residual } = model.architecture ?? LLAMA
    const { windows: _, ...rest } = attention
    return JSON.stringify([
      norm.kind,
      norm.place,
      norm.offset,
      parallel,
      rest,
      feedForward,
      residual,
      headSize(model),
    ])
  }
  return key(one) === key(other)
}
