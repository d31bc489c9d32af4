import { failed, type ImportCheck } from '#contract'
import { tf } from '../backend/tf'
import type { TextTokenizer } from '../data/textTokenizer'
import { argMax } from './sampling'
import type { LanguageModel } from './reader'

/** Plain English that a model of English finds likely, and a model whose weights are not where they belong does not. */
export const PARAGRAPH =
  `The little town lay at the end of a long road between the hills and the sea. In the morning the
boats came back with fish, and people went down to the harbour to see what had been caught. There was a school, a small
church and a market, where on Saturdays farmers sold apples, bread and cheese. An old man who had lived there all his
life liked to sit in front of his house and tell the children stories about the time when he was young. They did not
believe everything that he said, but they came back every day to hear more.`.replaceAll('\n', ' ')
const BEGINNING = 'Once upon a time'
const CONTINUATION = 16
const LONGEST = 256
/** Of the vocabulary: a model that has not learned anything is about as unsure as one that guesses. */
const UNSURE = 0.5

/**
 * Has a model that was imported read a paragraph and write a few words, which shows weights that were read wrongly.
 *
 * @throws failed when what it says is no number
 */
export async function selfCheck(model: LanguageModel, tokenizer: TextTokenizer): Promise<ImportCheck> {
  const text = [tokenizer.bos, ...tokenizer.encode(PARAGRAPH)]
  const ids = text.slice(0, Math.min(LONGEST, model.context, text.length))
  const rows = await logitsOf(model, ids)
  if (!rows.every(Number.isFinite)) throw failed('the model gives logits that are no numbers')
  const { vocab } = model
  let loss = 0
  for (let t = 0; t + 1 < ids.length; t++)
    loss += surprise(rows.subarray(t * vocab, (t + 1) * vocab), ids[t + 1]!)
  const perplexity = Math.exp(loss / (ids.length - 1))
  const sample = tokenizer.decode(await continued(model, [tokenizer.bos, ...tokenizer.encode(BEGINNING)]))
  const warning =
    perplexity > UNSURE * vocab
      ? `perplexity ${perplexity.toFixed(0)} of plain English, of ${vocab} tokens: the model guesses, or does not know English`
      : undefined
  return { perplexity, sample, ...(warning && { warning }) }
}

/** Greedily, the whole text read anew each time: a KV cache would hold the weights twice. */
async function continued(model: LanguageModel, prompt: readonly number[]): Promise<number[]> {
  const ids = prompt.slice(0, Math.max(1, model.context - CONTINUATION))
  const time = Math.min(ids.length + CONTINUATION, model.context)
  while (ids.length < time) {
    const padded = [...ids, ...Array.from({ length: time - ids.length }, () => 0)]
    ids.push(argMax(await logitsOf(model, padded, ids.length - 1)))
  }
  return ids
}

/** After each of the ids, [ids, vocab], or at one place of them alone, [vocab]. */
async function logitsOf(model: LanguageModel, ids: readonly number[], at?: number): Promise<Float32Array> {
  const inputs = Int32Array.from(ids)
  const reader = model.reader(inputs.length)
  await reader.prepare?.(inputs)
  const logits = tf.tidy(() => {
    const all = reader.logits(tf.tensor2d(inputs, [1, inputs.length], 'int32'))
    // What is read of a tensor lies about until it is collected: of large vocabularies no more than is needed.
    return at === undefined ? all : tf.gather(all, tf.tensor1d([at], 'int32'))
  })
  const values = (await logits.data()) as Float32Array
  logits.dispose()
  reader.dispose()
  return values
}

/** -log softmax(logits)[id], nats. */
export function surprise(logits: Float32Array, id: number): number {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  return Math.log(logits.reduce((sum, z) => sum + Math.exp(z - most), 0)) + most - logits[id]!
}
