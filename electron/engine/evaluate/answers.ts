import type { Continuation } from '#contract'
import { GREEDY, writeSequences } from '../model/writeSequences'
import type { Writer } from './continuations'
import type { HeldOutText } from './heldOut'

/** A held-out answer, with the end of its turn, and all that stands before it in its conversation. */
export interface Question {
  prompt: number[]
  answer: number[]
}

/**
 * Questions of held-out conversations, evenly spread over the split: an answer is what the mask counts in a row.
 *
 * @param context tokens of the longest sequence: what does not fit is left out, and what the split's end cuts
 */
export function heldOutQuestions(
  { ids, mask, documents }: Pick<HeldOutText, 'ids' | 'mask' | 'documents'>,
  count: number,
  context: number,
): Question[] {
  const found: Question[] = []
  for (let d = 0; d < (mask && documents ? documents.length : 0); d += 2) {
    const [begin, end] = [documents![d]!, documents![d + 1]!]
    for (let from = begin + 1; from < end; from++) {
      if (!mask![from] || mask![from - 1]) continue
      let to = from
      while (to < end && mask![to]) to++
      if (to < ids.length && to - begin <= context)
        found.push({ prompt: [...ids.subarray(begin, from)], answer: [...ids.subarray(from, to)] })
    }
  }
  const chosen = Math.min(count, found.length)
  return Array.from({ length: chosen }, (_, i) => found[Math.floor((i * found.length) / chosen)]!)
}

/**
 * The answers that a model writes greedily, each of as many tokens as the one it is held against.
 *
 * @returns exact: how many are that one, token for token
 */
export async function answerAll(
  { model, tokenizer }: Writer,
  questions: readonly Question[],
): Promise<{ continuations: Continuation[]; exact: number }> {
  const written = await writeSequences(
    model,
    questions.map(({ prompt }) => prompt),
    { ...GREEDY, tokens: questions.map(({ answer }) => answer.length), ends: [] },
  )
  // Pieces may depend on what stands before them.
  const after = (prompt: number[], ids: readonly number[]) =>
    tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length)
  return {
    continuations: questions.map(({ prompt, answer }, i) => ({
      prompt: tokenizer.decode(prompt),
      reference: after(prompt, answer),
      text: after(prompt, written[i]!),
    })),
    exact: questions.filter(({ answer }, i) => answer.every((id, t) => id === written[i]![t])).length,
  }
}
