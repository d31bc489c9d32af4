import { badInput, type ModelConfig, type Tokenizer } from '#contract'
import type { Weights } from '../weights'
import { approximations, knownArchitecture } from './architecture'
import { ggufParts, tensorTypes, type TensorType } from './format'
import { modelMetadata } from './metadata'
import { ggufTensors } from './tensors'
import { vocabularyMetadata } from './vocabulary'

/** What a GGUF file is made of. */
export interface GgufModel {
  name: string
  config: ModelConfig
  weights: Weights
  tokenizer: { file: string; kind: Tokenizer['kind']; bos: number; eos: number; chatTemplate?: string }
  dtype: TensorType
}

/**
 * A model with its tokenizer as llama.cpp reads it, in parts.
 *
 * @throws bad-input where llama.cpp does not know the family, would compute something else than the model does, or has
 *   no such tokenizer
 */
export function encodeGguf(model: GgufModel): { parts: Uint8Array[]; warnings: string[] } {
  const { name, config, weights, tokenizer, dtype } = model
  if (!Object.hasOwn(tensorTypes, dtype))
    throw badInput(`GGUF is not written in ${dtype}`, { field: 'dtype', expected: 'f32, f16 or q8_0' })
  const known = knownArchitecture(config)
  const { file, kind, ...special } = tokenizer
  const { metadata, warnings } = vocabularyMetadata(file, kind, config.rows ?? config.vocab, special)
  const tensors = ggufTensors(config, known, weights, dtype)
  return {
    parts: ggufParts(new Map([...modelMetadata(config, known, name, dtype), ...metadata]), tensors),
    warnings: [...approximations(config), ...warnings],
  }
}
