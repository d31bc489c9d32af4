import type { Continuation } from '#contract'
import type { TextTokenizer } from '../data/textTokenizer'
import type { LanguageModel } from '../model/reader'
import { GREEDY, writeSequences } from '../model/writeSequences'
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
 * Continues each prompt greedily by as many tokens as its reference has, many side by side, and times it.
 *
 * @returns tokensPerSecond of all of them, reading the prompts counted
 */
export async function continueAll(
  writer: Writer,
  prompts: readonly Prompt[],
  onText: (fraction: number) => void = () => {},
): Promise<{ continuations: Continuation[]; tokensPerSecond: number }> {
  const { tokenizer } = writer
  const asked = prompts.map(({ prompt, reference }) => ({
    ids: [tokenizer.bos, ...tokenizer.encode(prompt)],
    tokens: Math.max(1, tokenizer.encode(reference).length),
  }))
  const started = performance.now()
  const { texts, tokens } = await continueGreedily(writer, asked, onText)
  const seconds = (performance.now() - started) / 1000
  const continuations = prompts.map(({ prompt, reference }, i) => ({ prompt, reference, text: texts[i]! }))
  return { continuations, tokensPerSecond: tokens / seconds }
}

/**
 * The likeliest texts after prompts, up to where a text ends.
 *
 * @param asked each prompt's ids, and how many tokens are written at most
 * @returns `tokens` written, the end not counted
 */
export async function continueGreedily(
  { model, tokenizer }: Writer,
  asked: readonly { ids: readonly number[]; tokens: number }[],
  onText: (fraction: number) => void,
): Promise<{ texts: string[]; tokens: number }> {
  const { ends } = tokenizer
  const limits = asked.map(({ tokens }) => tokens)
  const counts = asked.map(() => 0)
  let ended = 0
  const written = await writeSequences(
    model,
    asked.map(({ ids }) => ids),
    {
      ...GREEDY,
      tokens: limits,
      ends,
      onToken: (row, id) => {
        if (++counts[row]! === limits[row] || ends.includes(id)) onText(++ended / asked.length)
      },
    },
  )
  const kept = written.map((ids) => ids.filter((id) => !ends.includes(id)))
  const texts = kept.map((ids, i) => {
    // Pieces may depend on what stands before them: the continuation is what it adds to the decoded prompt.
    const prompt = asked[i]!.ids.slice(1)
    return tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length)
  })
  return { texts, tokens: kept.reduce((sum, { length }) => sum + length, 0) }
}

/** BLEU (0..100) and mean ROUGE-L (0..1) of continuations against the text itself; nothing without continuations. */
export function overlap(continuations: readonly Continuation[]): { bleu?: number; rougeL?: number } {
  if (!continuations.length) return {}
  const texts = continuations.map(({ text }) => text)
  const references = continuations.map(({ reference }) => reference)
  return { bleu: corpusBleu(texts, references), rougeL: meanRougeL(texts, references) }
}
