import type { TaskScore } from '#contract'
import { tf } from '../../backend/tf'
import { logProbabilities } from '../../distill/divergence'
import { labelLogProbabilities } from '../../distill/losses'
import { continueGreedily, type Writer } from '../continuations'
import { batchFor } from '../score'
import { collectTokens } from '../tokenScores'
import { emptyBatch, type WindowBatch } from '../windows'
import type { TaskExample } from './example'
import { scoreAnswers, scoreChoices, scoreEntities, scoreSummaries, type TaskMetrics } from './scoring'

/** Tokens a greedy answer may have, by kind of task. */
const ANSWER = { entities: 48, answer: 24, summary: 64 }
/** Longest row of prompt and answer that is read; a longer prompt loses its beginning. */
const CONTEXT = 512

type Of<K extends TaskExample['kind']> = Extract<TaskExample, { kind: K }>

/**
 * Scores a model on a task: choices by their length-normalised log-likelihood, all else by the line that the model
 * writes greedily after the prompt. The examples are all of one kind.
 */
export async function evaluateTask(
  task: string,
  writer: Writer,
  examples: readonly TaskExample[],
  onExample: (fraction: number) => void = () => {},
): Promise<TaskScore> {
  return { task, examples: examples.length, metrics: await measure(writer, examples, onExample) }
}

async function measure(
  writer: Writer,
  examples: readonly TaskExample[],
  onExample: (fraction: number) => void,
): Promise<TaskMetrics> {
  const choices = examples.filter((e): e is Of<'choice'> => e.kind === 'choice')
  if (choices.length === examples.length)
    return scoreChoices(choices, await rankChoices(writer, choices, onExample))
  const answers = await answersOf(writer, examples, onExample)
  const of = <K extends TaskExample['kind']>(kind: K) => examples.filter((e): e is Of<K> => e.kind === kind)
  switch (examples[0]!.kind) {
    case 'entities':
      return scoreEntities(of('entities'), answers)
    case 'summary':
      return scoreSummaries(of('summary'), answers)
    default:
      return scoreAnswers(examples.map(asAnswer), answers)
  }
}

/** In a file where only some examples have choices, all are answered freely. */
function asAnswer(example: TaskExample): Of<'answer'> {
  if (example.kind === 'answer') return example
  const { prompt } = example
  return {
    kind: 'answer',
    prompt,
    answers: example.kind === 'choice' ? [example.choices[example.answer]!] : [],
  }
}

/**
 * The choice whose tokens have the highest mean log-probability after the prompt, for each example.
 */
export async function rankChoices(
  { model, tokenizer }: Writer,
  examples: readonly Of<'choice'>[],
  onBatch: (fraction: number) => void = () => {},
): Promise<number[]> {
  const longest = Math.min(CONTEXT, model.context)
  const rows = examples.flatMap(({ prompt, choices }) => {
    const alone = tokenizer.encode(prompt)
    return choices.map((choice) => {
      const whole = tokenizer.encode(`${prompt} ${choice}`)
      // Pieces at the seam may belong to both: the choice begins where the ids part.
      let shared = 0
      while (shared < alone.length && alone[shared] === whole[shared]) shared++
      const dropped = Math.max(0, whole.length - longest)
      return { ids: [tokenizer.bos, ...whole.slice(dropped)], from: Math.max(0, shared - dropped) }
    })
  })
  const context = Math.min(longest, Math.ceil(Math.max(...rows.map(({ ids }) => ids.length - 1)) / 32) * 32)
  const batch = batchFor(model, context)
  const windows: WindowBatch[] = []
  for (const [r, { ids, from }] of rows.entries()) {
    if (r % batch === 0) windows.push(emptyBatch(batch * context, batch))
    const { inputs, targets, weights } = windows.at(-1)!
    for (let i = 0, at = (r % batch) * context; i < ids.length - 1; i++, at++) {
      inputs[at] = ids[i]!
      targets[at] = ids[i + 1]!
      weights[at] = i >= from ? 1 : 0
    }
  }
  const reader = model.reader(context)
  const [scores] = await collectTokens(
    windows,
    ({ inputs, targets }) => {
      const logits = reader.logits(tf.tensor2d(inputs, [batch, context], 'int32'))
      const labels = tf.tensor1d(targets, 'int32')
      return tf.reshape(labelLogProbabilities(logProbabilities(logits, 1), labels), [1, -1]) as tf.Tensor2D
    },
    onBatch,
    async (i) => reader.prepare?.(windows[i]!.inputs),
  )
  reader.dispose()
  let scored = 0
  const means = rows.map(({ ids, from }) => {
    const own = scores!.slice(scored, (scored += ids.length - 1 - from))
    return own.reduce((a, b) => a + b, 0) / own.length
  })
  let row = 0
  return examples.map(({ choices }) => {
    const own = means.slice(row, (row += choices.length))
    return own.indexOf(Math.max(...own))
  })
}

/** The line that the model writes after each prompt, greedily. */
async function answersOf(
  writer: Writer,
  examples: readonly TaskExample[],
  onExample: (fraction: number) => void,
): Promise<string[]> {
  const { model, tokenizer } = writer
  const asked = examples.map(({ kind, prompt }) => {
    const tokens = ANSWER[kind === 'choice' ? 'answer' : kind]
    const room = Math.max(1, Math.min(CONTEXT, model.context) - tokens - 1)
    return { ids: [tokenizer.bos, ...tokenizer.encode(prompt).slice(-room)], tokens }
  })
  const { texts } = await continueGreedily(writer, asked, onExample)
  return texts.map((text) => text.split('\n')[0]!.trim())
}
