import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readConfig } from '../huggingface'

const folder = mkdtempSync(join(tmpdir(), 'retort-published-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sizes = {
  vocab_size: 640,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 131_072,
}
const old = { attention_dropout: 0, initializer_range: 0.02, use_cache: true, torch_dtype: 'bfloat16' }
const longrope = { type: 'longrope', long_factor: [1, 1, 1, 1, 1, 1], short_factor: [1, 1, 1, 1, 1, 1] }
const phi = { ...sizes, ...old, model_type: 'phi3', original_max_position_embeddings: 4096 }
const gpt2 = {
  model_type: 'gpt2',
  n_embd: 64,
  n_head: 4,
  n_layer: 2,
  n_positions: 64,
  n_ctx: 64,
  vocab_size: 640,
}

/** Keys that stand in the files of models as they were published, at the values that they have there. */
it.each<[string, Record<string, unknown>]>([
  [
    'Qwen2.5',
    {
      ...sizes,
      ...old,
      model_type: 'qwen2',
      sliding_window: 32_768,
      max_window_layers: 24,
      use_mrope: false,
      use_sliding_window: false,
    },
  ],
  [
    'Phi-3',
    {
      ...phi,
      attention_bias: false,
      sliding_window: 2047,
      rope_scaling: null,
      auto_map: { AutoConfig: 'x' },
      embd_pdrop: 0,
      resid_pdrop: 0,
    },
  ],
  [
    'Phi-4-mini',
    {
      ...phi,
      attention_bias: false,
      mlp_bias: false,
      lm_head_bias: false,
      full_attn_mod: 1,
      interpolate_factor: 1,
      partial_rotary_factor: 0.75,
      sliding_window: 262_144,
      rope_scaling: longrope,
    },
  ],
  [
    'Mistral',
    {
      ...sizes,
      ...old,
      model_type: 'mistral',
      attention_bias: false,
      head_dim: 16,
      sliding_window: null,
      rope_theta: 1_000_000,
    },
  ],
  [
    'Gemma 2 9B',
    {
      ...sizes,
      ...old,
      model_type: 'gemma2',
      cache_implementation: 'hybrid',
      head_dim: 16,
      query_pre_attn_scalar: 16,
      sliding_window: 4096,
      sliding_window_size: 4096,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      hidden_act: 'gelu_pytorch_tanh',
      hidden_activation: 'gelu_pytorch_tanh',
    },
  ],
  [
    'Gemma 3 270M',
    {
      ...sizes,
      model_type: 'gemma3_text',
      head_dim: 16,
      query_pre_attn_scalar: 16,
      _sliding_window_pattern: 2,
      layer_types: ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention'],
      rope_local_base_freq: 10_000,
      rope_theta: 1_000_000,
      sliding_window: 512,
      use_bidirectional_attention: false,
      attn_logit_softcapping: null,
    },
  ],
  [
    'a Llama of Unsloth',
    {
      ...sizes,
      ...old,
      model_type: 'llama',
      unsloth_fixed: true,
      unsloth_version: '2025.1',
      mlp_bias: false,
      pretraining_tp: 1,
    },
  ],
  [
    'Vicuna',
    {
      ...sizes,
      ...old,
      model_type: 'llama',
      max_sequence_length: 2048,
      tokenizer_model_max_length: 4096,
      tokenizer_padding_side: 'right',
    },
  ],
  [
    'SmolLM2',
    {
      ...sizes,
      ...old,
      model_type: 'llama',
      is_llama_config: true,
      rope_interleaved: false,
      'transformers.js_config': { kv_cache_dtype: {} },
    },
  ],
  [
    'StableLM 3B',
    {
      ...sizes,
      model_type: 'stablelm',
      norm_eps: 1e-5,
      layer_norm_eps: 1e-5,
      rope_pct: 0.25,
      partial_rotary_factor: 0.25,
      rotary_scaling_factor: 1,
      use_qkv_bias: false,
    },
  ],
  ['DistilGPT2', { ...gpt2, _num_labels: 1, id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } }],
  ['GPT-2 medium', { ...gpt2, n_special: 0, predict_special_tokens: true, output_past: true }],
])('%s is read, with the keys that its file has', (_, config) => {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  expect(readConfig(folder).config.vocab).toBe(640)
})

it.each<[string, Record<string, unknown>, RegExp]>([
  ['a norm of another size', { model_type: 'stablelm', norm_eps: 1e-6 }, /norm_eps: .*expected 0.00001/],
  ['rotary positions for pictures', { model_type: 'qwen2', use_mrope: true }, /use_mrope: .*expected false/],
  [
    'biases that it does not have here',
    { model_type: 'mistral', attention_bias: true },
    /attention_bias: .*false/,
  ],
  ['attention of other layers', { ...phi, full_attn_mod: 2 }, /full_attn_mod: .*expected 1/],
  [
    'weights of a few bits',
    { model_type: 'qwen2', quantization_config: { quant_method: 'awq', bits: 4 } },
    /quantization_config: its weights are quantised \(awq\); expected the model that it was made of/,
  ],
  ['what nobody knows', { model_type: 'qwen3', sinks: 4 }, /sinks: .*expected no such key; take it out/],
])('a file with %s is refused', (_, config, message) => {
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...sizes, ...config }))
  expect(() => readConfig(folder)).toThrow(message)
})
