import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { badInput, expectedBy, layerCount } from '#contract'

/** Keys that change nothing of what is computed: they are of training, of generation, or for people. */
const INERT = new Set(
  `architectures auto_map model_type transformers_version torch_dtype dtype name_or_path _name_or_path _commit_hash
  use_cache cache_implementation gradient_checkpointing torchscript use_bfloat16 return_dict use_return_dict
  output_attentions output_hidden_states attn_implementation _attn_implementation _attn_implementation_autoset
  _attn_implementation_internal _experts_implementation_internal transformers.js_config is_llama_config is_decoder
  chunk_size_feed_forward
  initializer_range init_std attention_dropout attn_pdrop resid_pdrop embd_pdrop hidden_dropout dropout
  activation_dropout layerdrop classifier_dropout hidden_dropout_prob attention_probs_dropout_prob pretraining_tp
  bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id decoder_start_token_id tokenizer_class prefix
  summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout
  id2label label2id num_labels problem_type finetuning_task task_specific_params
  max_length min_length do_sample early_stopping num_beams temperature top_k top_p typical_p repetition_penalty
  length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
  return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty
  suppress_tokens begin_suppress_tokens epsilon_cutoff eta_cutoff encoder_repetition_penalty num_beam_groups
  diversity_penalty num_assistant_tokens num_assistant_tokens_schedule assistant_confidence_threshold
  assistant_lookbehind target_lookbehind max_new_tokens
  _num_labels n_special predict_special_tokens output_past custom_pipelines _flash_attn_2_enabled
  max_sequence_length model_max_length tokenizer_model_max_length tokenizer_padding_side neftune_noise_alpha
  unsloth_fixed unsloth_version`.split(/\s+/),
)

/** Keys of any model that would change what is computed, with the value at which they do not. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  add_cross_attention: false,
  is_encoder_decoder: false,
  tie_encoder_decoder: false,
  pruned_heads: {},
  sparsity_config: {},
  rope_interleaved: false,
  use_bidirectional_attention: false,
  attention_bias: false,
  mlp_bias: false,
  lm_head_bias: false,
  use_mrope: false,
  full_attn_mod: 1,
  interpolate_factor: 1,
  rotary_scaling_factor: 1,
}

const UNKNOWN = 'no such key; take it out of the file where it changes nothing'

/**
 * A `config.json` key by key. What is read is checked; `finish` refuses the first key that nobody has asked for and
 * that could change what the model computes.
 */
export class ConfigReader {
  private readonly asked = new Set<string>()

  /** @param path where it stands in the file, for messages */
  constructor(
    private readonly raw: Readonly<Record<string, unknown>>,
    readonly file: string,
    private readonly path = '',
  ) {}

  /** Whether the key has a value; null counts as none. */
  has(key: string): boolean {
    return this.raw[key] !== undefined && this.raw[key] !== null
  }

  /** Whether the file says that there is none, which differs from saying nothing. */
  isNull(key: string): boolean {
    if (this.raw[key] !== null) return false
    this.asked.add(key)
    return true
  }

  /** Whole and positive. */
  size(key: string, fallback?: number): number {
    return this.value(key, z.number().int().positive(), fallback)
  }

  /** How many layers. */
  layers(key: string, fallback?: number): number {
    return this.value(key, layerCount, fallback)
  }

  number(key: string, fallback?: number): number {
    return this.value(key, z.number(), fallback)
  }

  positive(key: string, fallback?: number): number {
    return this.value(key, z.number().positive(), fallback)
  }

  flag(key: string, fallback: boolean): boolean {
    return this.value(key, z.boolean(), fallback)
  }

  list<T>(key: string, element: z.ZodType<T>, length: number): T[] | undefined {
    if (!this.has(key)) {
      this.asked.add(key)
      return undefined
    }
    return this.value(key, z.array(element).length(length, `a list of ${length}`))
  }

  /** One of some words. */
  word<T extends string>(key: string, words: readonly T[], fallback: T): T {
    return this.value(key, z.enum(words as readonly [T, ...T[]]), fallback)
  }

  /** Part of the file; undefined where it is absent or null. */
  part(key: string): ConfigReader | undefined {
    this.asked.add(key)
    if (!this.has(key)) return undefined
    const raw = this.value(key, z.record(z.string(), z.unknown()))
    return new ConfigReader(raw, this.file, this.nameOf(key))
  }

  /** Keys that change nothing in this family. */
  ignore(...keys: string[]): void {
    for (const key of keys) this.asked.add(key)
  }

  /** A key at which one value alone is computed here. */
  only(key: string, value: unknown, note?: string): void {
    this.asked.add(key)
    if (!this.has(key) || same(this.raw[key], value)) return
    throw this.refused(key, note ?? JSON.stringify(value))
  }

  /** @throws bad-input naming the first key that is not known */
  finish(): void {
    for (const [key, value] of Object.entries(this.raw)) {
      if (this.asked.has(key) || value === null || (!this.path && INERT.has(key))) continue
      if (!this.path && Object.hasOwn(DEFAULTS, key) && same(value, DEFAULTS[key])) continue
      throw this.refused(key, Object.hasOwn(DEFAULTS, key) ? JSON.stringify(DEFAULTS[key]) : UNKNOWN)
    }
  }

  refused(key: string, expected: string, why = 'the model computes something that Retort does not'): Error {
    const given = this.raw[key] === undefined ? 'the key is missing' : `it is ${shown(this.raw[key])}`
    return badInput(`${why} (${given})`, {
      file: this.file,
      field: this.nameOf(key),
      expected,
    })
  }

  private value<T>(key: string, schema: z.ZodType<T>, fallback?: T): T {
    this.asked.add(key)
    if (!this.has(key)) {
      if (fallback !== undefined) return fallback
      throw badInput('the key is missing', { file: this.file, field: this.nameOf(key) })
    }
    const parsed = schema.safeParse(this.raw[key])
    if (parsed.success) return parsed.data
    throw this.refused(key, expectedBy(parsed.error.issues[0]!), 'the value cannot be used')
  }

  private nameOf(key: string): string {
    return this.path ? `${this.path}.${key}` : key
  }
}

/** Whole where it is short; lists in lists in lists have no end. */
function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const plain = Object.values(value).every((inner) => typeof inner !== 'object' || inner === null)
  return plain ? JSON.stringify(value) : Array.isArray(value) ? 'a list' : 'a group of settings'
}

function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b)
}
