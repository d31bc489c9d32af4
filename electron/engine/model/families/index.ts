import type { Family as Name } from '#contract'
import type { Family } from './family'
import { gemma2, gemma3 } from './gemma'
import { gpt2 } from './gpt2'
import { gptNeox } from './gptNeox'
import { granite } from './granite'
import { llama } from './llama'
import { mistral } from './mistral'
import { olmo2 } from './olmo2'
import { opt } from './opt'
import { phi3 } from './phi3'
import { qwen2, qwen3 } from './qwen'
import { smollm3 } from './smollm3'
import { stablelm } from './stablelm'

/** Every family, by transformers' `model_type`. */
export const familyTable: Readonly<Record<Name, Family>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma2,
  gemma3_text: gemma3,
  phi3,
  smollm3,
  olmo2,
  granite,
  stablelm,
  gpt2,
  gpt_neox: gptNeox,
  opt,
}
