import { headSize, rotaries, type ModelConfig } from '#contract'
import { WEIGHTS_INDEX } from '../../files'
import type { TokenizerSettings } from '../data/tokenizerSettings'
import { toTheirs } from './convert'
import { familyTable } from './families'
import { writeScaling } from './families/rope'
import { safetensorsParts } from './safetensorsWriter'
import type { Weights } from './weights'

type Dtype = 'f32' | 'bf16'

/** A file of an export: text, or bytes in parts. */
export type ExportedFile = [name: string, content: string | Uint8Array[]]

interface Source {
  config: ModelConfig
  weights: Weights
  /** The ids that begin a document, and at which a text ends. */
  bos: number
  eos: readonly number[]
  dtype: Dtype
  /** Bytes of the largest file of weights. */
  shard: number
  card?: string
}

/** A folder of transformers, but for its tokenizer. */
export function huggingFaceFiles(source: Source): ExportedFile[] {
  const { config, weights, dtype, shard, card } = source
  return [
    ...configFiles(source),
    ...weightFiles(huggingFaceWeights(config, weights), dtype, shard),
    ...(card === undefined ? [] : [['README.md', card] satisfies ExportedFile]),
  ]
}

/** What says what the model is, and how its texts begin and end. */
export function configFiles({
  config,
  bos,
  eos,
  dtype,
}: Pick<Source, 'config' | 'bos' | 'eos' | 'dtype'>): ExportedFile[] {
  const { vocab, rows = vocab } = config
  const padding = Array.from({ length: rows - vocab }, (_, i) => vocab + i)
  const generation = {
    bos_token_id: bos,
    eos_token_id: eos.length === 1 ? eos[0] : eos,
    // Rows that no token has were not trained: whatever they say, nothing that is written has their ids.
    ...(padding.length > 0 && { suppress_tokens: padding }),
  }
  return [
    ['config.json', huggingFaceConfigText(config, bos, dtype)],
    ['generation_config.json', `${JSON.stringify(generation, null, 2)}\n`],
  ]
}

/** `config.json` for a model of ours, of its own family; versions 4 and 5 of transformers read it. */
export function huggingFaceConfig(
  config: ModelConfig,
  bos: number,
  dtype: Dtype = 'f32',
): Record<string, unknown> {
  const family = familyTable[config.family]
  const rope = ropeParameters(config)
  const type = { f32: 'float32', bf16: 'bfloat16' }[dtype]
  return {
    architectures: [family.architecture],
    model_type: config.family,
    vocab_size: config.rows ?? config.vocab,
    ...family.write(config),
    ...(rope && { rope_parameters: rope }),
    tie_word_embeddings: config.tied,
    bos_token_id: bos,
    eos_token_id: bos,
    // Families have one by default, which a small vocabulary does not hold.
    pad_token_id: null,
    torch_dtype: type,
    dtype: type,
  }
}

/** What version 5 reads in place of `rope_theta` and `rope_scaling`; undefined without rotary positions. */
function ropeParameters(config: ModelConfig): Record<string, unknown> | undefined {
  const [first, near] = rotaries(config).map(({ base, dimensions, scaling }) => ({
    rope_type: 'default',
    rope_theta: base,
    ...(dimensions !== headSize(config) && { partial_rotary_factor: dimensions / headSize(config) }),
    ...writeScaling({ scaling }),
  }))
  if (config.family === 'gemma3_text') return { full_attention: first, sliding_attention: near ?? first }
  return first
}

/** Keys of which transformers takes no whole number: 30 is written as 30.0. */
const FLOATS = /^( *"(?:attn_logit_softcapping|final_logit_softcapping|attention_factor)": -?\d+)(?=,?$)/gm

/** The same as the file's text. */
export function huggingFaceConfigText(config: ModelConfig, bos: number, dtype: Dtype = 'f32'): string {
  return `${JSON.stringify(huggingFaceConfig(config, bos, dtype), null, 2)}\n`.replace(FLOATS, '$1.0')
}

/** The weights under the names that transformers has for them. */
export function huggingFaceWeights(config: ModelConfig, weights: Weights): Weights {
  const theirs: Weights = new Map()
  for (const link of familyTable[config.family].links(config))
    for (const [name, tensor] of toTheirs(link, weights)) theirs.set(name, tensor)
  return theirs
}

/** One file, or as many as none is larger than `shard` bytes unless a single tensor is, with their index. */
function weightFiles(weights: Weights, dtype: Dtype, shard: number): ExportedFile[] {
  const size = dtype === 'bf16' ? 2 : 4
  const shards: Weights[] = []
  let [room, total] = [0, 0]
  for (const name of [...weights.keys()].sort()) {
    const tensor = weights.get(name)!
    const bytes = tensor.data.length * size
    if (bytes > room) {
      shards.push(new Map())
      room = shard
    }
    room -= bytes
    total += bytes
    shards[shards.length - 1]!.set(name, tensor)
  }
  if (shards.length === 1) return [['model.safetensors', safetensorsParts(shards[0]!, dtype)]]
  const digits = (n: number) => String(n).padStart(5, '0')
  const nameOf = (i: number) => `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`
  const map = shards.flatMap((one, i) => [...one.keys()].map((name) => [name, nameOf(i)] as const))
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(map) }
  return [
    ...shards.map((one, i): ExportedFile => [nameOf(i), safetensorsParts(one, dtype)]),
    [WEIGHTS_INDEX, `${JSON.stringify(index, null, 2)}\n`],
  ]
}

/** What transformers wants to know of a `tokenizer.json` beside it. */
export function tokenizerConfig(
  boundary: string | undefined,
  context: number,
  { special, cleanUp }: TokenizerSettings,
): Record<string, unknown> {
  return {
    // The class that takes tokenizer.json as it is, in every version.
    tokenizer_class: 'PreTrainedTokenizerFast',
    model_max_length: context,
    clean_up_tokenization_spaces: cleanUp ?? false,
    ...(boundary !== undefined && { bos_token: boundary, eos_token: boundary }),
    ...special,
  }
}
