import { adaptedMatrices, adapterName, loraScale, weightShapes, type Lora, type ModelConfig } from '#contract'
import { toTheirs } from './convert'
import type { ExportedFile } from './exportHuggingFace'
import { familyTable } from './families'
import type { Link } from './families/family'
import { safetensorsParts } from './safetensorsWriter'
import type { Weight, Weights } from './weights'

/** Below an adapter's folder: the model that it stands beside, as a folder of transformers. */
export const PEFT_BASE = 'base'

interface Source {
  config: ModelConfig
  lora: Lora
  adapters: Weights
  card?: string
}

/** Adapters as PEFT reads them, beside modules of the family's own names. */
export function peftFiles({ config, lora, adapters, card }: Source): ExportedFile[] {
  const modules = modulesOf(config, lora, adapters)
  const weights: Weights = new Map(
    modules.flatMap(({ name, a, b }) => [
      [`base_model.model.${name}.lora_A.weight`, a],
      [`base_model.model.${name}.lora_B.weight`, b],
    ]),
  )
  return [
    ['adapter_config.json', `${JSON.stringify(peftConfig(modules, lora), null, 2)}\n`],
    ['adapter_model.safetensors', safetensorsParts(weights)],
    ...(card === undefined ? [] : [['README.md', card] satisfies ExportedFile]),
  ]
}

/** A module of theirs with its adapters: A [rank, in], B [out, rank]. */
interface AdaptedModule {
  name: string
  a: Weight
  b: Weight
  /** It computes x W where others compute x W^T: transformers' Conv1D. */
  conv: boolean
}

function modulesOf(config: ModelConfig, lora: Lora, adapters: Weights): AdaptedModule[] {
  const adapted = new Set(adaptedMatrices(config, lora))
  const shapes = weightShapes(config)
  return familyTable[config.family].links(config).flatMap((link) => {
    const own = link.ours.filter((name) => adapted.has(name))
    return own.length ? modulesOfLink(link, own, adapters, shapes) : []
  })
}

/**
 * Where one matrix of theirs is several of ours, one below the other, each with adapters A_i, B_i of rank r: A has those
 * A_i one below the other, B the B_i as blocks on its diagonal and nothing in the rows of those without, so that B A is
 * what they add. Its rank is as many times r, and its alpha with it.
 */
function modulesOfLink(
  link: Link,
  own: readonly string[],
  adapters: Weights,
  shapes: ReadonlyMap<string, number[]>,
): AdaptedModule[] {
  const adapter = (name: string, which: 'A' | 'B') => adapters.get(adapterName(name, which))!
  const parts = own.map((name) => adapter(name, 'A'))
  const [rank, from] = parts[0]!.shape as [number, number]
  const total = rank * own.length
  const a = { shape: [total, from], data: new Float32Array(total * from) }
  for (const [i, { data }] of parts.entries()) a.data.set(data, i * rank * from)
  const blocks: Weights = new Map(
    link.ours.map((name) => {
      const out = shapes.get(name)![0]!
      const block = { shape: [out, total], data: new Float32Array(out * total) }
      const i = own.indexOf(name)
      if (i < 0) return [name, block]
      const { data } = adapter(name, 'B')
      for (let row = 0; row < out; row++)
        block.data.set(data.subarray(row * rank, (row + 1) * rank), row * total + i * rank)
      return [name, block]
    }),
  )
  // Rows of B go where the matrix's rows go. Whether that one is transposed is said in the configuration.
  const rows = toTheirs({ ...link, transposed: false }, blocks)
  return [...rows].map(([name, b]) => {
    return { name: name.replace(/\.weight$/, ''), a, b, conv: link.transposed === true }
  })
}

function peftConfig(modules: readonly AdaptedModule[], lora: Lora): Record<string, unknown> {
  const ranks = new Map(modules.map(({ name, a }) => [inLayer(name), a.shape[0]!]))
  const wider = [...ranks].filter(([, rank]) => rank !== lora.rank)
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: PEFT_BASE,
    r: lora.rank,
    lora_alpha: lora.alpha,
    target_modules: [...ranks.keys()],
    rank_pattern: Object.fromEntries(wider),
    alpha_pattern: Object.fromEntries(wider.map(([name, rank]) => [name, rank * loraScale(lora)])),
    lora_dropout: lora.dropout,
    fan_in_fan_out: modules.some(({ conv }) => conv),
    bias: 'none',
    inference_mode: true,
  }
}

/** What a module is called in each layer: `self_attn.q_proj` of `model.layers.0.self_attn.q_proj`. */
const inLayer = (name: string) => name.replace(/^.*?\.\d+\./, '')
