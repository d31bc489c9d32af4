import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { badInput, HEAD, parse, type ModelConfig } from '#contract'
import { readJson } from '../../files'
import { decodeSafetensors } from './safetensors'
import { checkWeights, type Weights } from './weights'

const count = z.number().int().positive()

/** What of a Llama `config.json` we compute with; the rest must not change the mathematics. */
const llamaConfig = z.object({
  model_type: z.string(),
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.optional(),
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().default(10000),
  rope_scaling: z.unknown().optional(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  head_dim: count.nullish(),
})

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) })

/** Reads a Hugging Face model folder of the Llama family: config.json with model.safetensors, whole or in shards. */
export function readHuggingFace(folder: string): { config: ModelConfig; weights: Weights } {
  const file = join(folder, 'config.json')
  if (!existsSync(file))
    throw badInput('the file is missing', { file, expected: 'a Hugging Face model folder' })
  const raw = readJson(file) as { model_type?: unknown } | null
  if (raw?.model_type !== 'llama') {
    throw badInput(`the family "${String(raw?.model_type)}" is not supported`, {
      file,
      field: 'model_type',
      expected: 'llama',
    })
  }
  const c = parse(llamaConfig, raw, file)
  refuse(c.rope_scaling !== undefined && c.rope_scaling !== null, file, 'rope_scaling', 'none')
  refuse(c.hidden_act !== 'silu', file, 'hidden_act', 'silu')
  refuse(c.attention_bias, file, 'attention_bias', 'false')
  refuse(c.mlp_bias, file, 'mlp_bias', 'false')
  refuse(
    !!c.head_dim && c.head_dim * c.num_attention_heads !== c.hidden_size,
    file,
    'head_dim',
    'hidden_size / heads',
  )
  const config: ModelConfig = {
    family: 'llama',
    vocab: c.vocab_size,
    width: c.hidden_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    kvHeads: c.num_key_value_heads ?? c.num_attention_heads,
    hidden: c.intermediate_size,
    context: c.max_position_embeddings,
    tied: c.tie_word_embeddings,
    ropeBase: c.rope_theta,
    normEpsilon: c.rms_norm_eps,
  }
  const weights = readShards(folder)
  for (const name of [...weights.keys()]) {
    // Old checkpoints carry RoPE's frequencies as a tensor, and tied ones may repeat the head.
    if (name.endsWith('rotary_emb.inv_freq') || (config.tied && name === HEAD)) weights.delete(name)
  }
  checkWeights(config, weights, folder)
  return { config, weights }
}

/** `config.json` of the Llama family for a model of ours. */
export function huggingFaceConfig(config: ModelConfig, bos: number): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: config.vocab,
    hidden_size: config.width,
    intermediate_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    max_position_embeddings: config.context,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeBase,
    tie_word_embeddings: config.tied,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    bos_token_id: bos,
    eos_token_id: bos,
    torch_dtype: 'float32',
  }
}

function refuse(wrong: boolean, file: string, field: string, expected: string): void {
  if (wrong) throw badInput('the model computes something that Retort does not', { file, field, expected })
}

function readShards(folder: string): Weights {
  const index = join(folder, 'model.safetensors.index.json')
  if (!existsSync(index)) return readFile(join(folder, 'model.safetensors'))
  const { weight_map: map } = parse(shardIndex, readJson(index), index)
  const weights: Weights = new Map()
  for (const shard of new Set(Object.values(map))) {
    for (const [name, tensor] of readFile(join(folder, shard))) weights.set(name, tensor)
  }
  return weights
}

function readFile(file: string): Weights {
  if (!existsSync(file))
    throw badInput('the file is missing', { file, expected: 'the weights as safetensors' })
  return decodeSafetensors(readFileSync(file), file)
}
