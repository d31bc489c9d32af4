import type { Continuation } from '#contract'
import type { TextTokenizer } from '../data/textTokenizer'
import { generate } from '../model/generate'
import type { LanguageModel } from '../model/reader'
import { corpusBleu } from './bleu'
import { meanRougeL } from './rouge'

/** Tokens of a held-out prompt, and of its true continuation. */
const PROMPT = 32
const REFERENCE = 32

/** A model that writes. */
export interface Writer {
  model: LanguageModel
  tokenizer: TextTokenizer
}

/** A prompt and the text that follows it. */
export type Prompt = Pick<Continuation, 'prompt' | 'reference'>

/**
 * Prompts from a held-out split: the first tokens of its documents and what comes next there, of documents that are
 * long enough, evenly spread over the split.
 *
 * @param ids BOS before every document
 */
export function heldOutPrompts(ids: Int32Array, tokenizer: TextTokenizer, count: number): Prompt[] {
  const starts: number[] = []
  for (let i = 0; i < ids.length; i++) if (ids[i] === tokenizer.bos) starts.push(i + 1)
  const long = starts.filter(
    (start, i) => (starts[i + 1] ?? ids.length + 1) - 1 - start >= PROMPT + REFERENCE,
  )
  const chosen = Array.from(
    { length: Math.min(count, long.length) },
    (_, i) => long[Math.floor((i * long.length) / Math.min(count, long.length))]!,
  )
  return chosen.map((start) => {
    const prompt = tokenizer.decode(ids.subarray(start, start + PROMPT))
    const whole = tokenizer.decode(ids.subarray(start, start + PROMPT + REFERENCE))
    return { prompt, reference: whole.slice(prompt.length) }
  })
}

/**
 * Continues each prompt greedily by as many tokens as its reference has, and times it.
 *
 * @returns tokensPerSecond of the generation alone
 */
export async function continueAll(
  { model, tokenizer }: Writer,
  prompts: readonly Prompt[],
  onPrompt: (fraction: number) => void = () => {},
): Promise<{ continuations: Continuation[]; tokensPerSecond: number }> {
  const continuations: Continuation[] = []
  let tokens = 0
  let seconds = 0
  for (const { prompt, reference } of prompts) {
    const promptIds = [tokenizer.bos, ...tokenizer.encode(prompt)]
    const { ids, tokensPerSecond } = await generate({
      model,
      promptIds,
      tokens: Math.max(1, tokenizer.encode(reference).length),
      temperature: 0,
      topP: 1,
      seed: 1,
      stopIds: [tokenizer.bos],
    })
    // Pieces may depend on what stands before them: the continuation is what it adds to the decoded prompt.
    const before = tokenizer.decode(promptIds.slice(1))
    const text = tokenizer.decode([...promptIds.slice(1), ...ids]).slice(before.length)
    continuations.push({ prompt, reference, text })
    tokens += ids.length
    if (ids.length) seconds += ids.length / tokensPerSecond
    onPrompt(continuations.length / prompts.length)
  }
  return { continuations, tokensPerSecond: seconds ? tokens / seconds : 0 }
}

/** BLEU (0..100) and mean ROUGE-L (0..1) of continuations against the text itself; nothing without continuations. */
export function overlap(continuations: readonly Continuation[]): { bleu?: number; rougeL?: number } {
  if (!continuations.length) return {}
  const texts = continuations.map(({ text }) => text)
  const references = continuations.map(({ reference }) => reference)
  return { bleu: corpusBleu(texts, references), rougeL: meanRougeL(texts, references) }
}
