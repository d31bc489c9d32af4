import { meanRougeL } from '../rouge'
import { parseEntities, toTags, type TaskExample } from './example'

type Of<K extends TaskExample['kind']> = Extract<TaskExample, { kind: K }>

/** Metrics 0..1 by name, the task's own first. */
export type TaskMetrics = Record<string, number>

/** Accuracy of chosen answers, beside that of always giving the commonest one. */
export function scoreChoices(examples: readonly Of<'choice'>[], chosen: readonly number[]): TaskMetrics {
  const right = examples.filter(({ answer }, i) => answer === chosen[i]).length
  const counts = new Map<string, number>()
  for (const { choices, answer } of examples) {
    counts.set(choices[answer]!, (counts.get(choices[answer]!) ?? 0) + 1)
  }
  return { accuracy: right / examples.length, majority: Math.max(...counts.values()) / examples.length }
}

/** Entity F1 (micro; place and type must be right, as in CoNLL-2003) and the share of tokens with the right tag. */
export function scoreEntities(examples: readonly Of<'entities'>[], answers: readonly string[]): TaskMetrics {
  let [right, claimed, true_, rightTags, tokens] = [0, 0, 0, 0, 0]
  for (const [i, { tokens: words, entities }] of examples.entries()) {
    const found = parseEntities(answers[i]!, words)
    claimed += found.length
    true_ += entities.length
    right += found.filter((f) =>
      entities.some((e) => e.start === f.start && e.end === f.end && e.type === f.type),
    ).length
    const [own, gold] = [toTags(words.length, found), toTags(words.length, entities)]
    rightTags += own.filter((tag, t) => tag === gold[t]).length
    tokens += words.length
  }
  const f1 = right ? (2 * right) / (claimed + true_) : 0
  return { entityF1: f1, tokenAccuracy: rightTags / tokens }
}

/** Exact match and word F1, each against the answer that fits best, as the SQuAD evaluation has them. */
export function scoreAnswers(examples: readonly Of<'answer'>[], answers: readonly string[]): TaskMetrics {
  let [exact, f1] = [0, 0]
  for (const [i, example] of examples.entries()) {
    const own = normalise(answers[i]!)
    const gold = example.answers.map(normalise)
    exact += Number(gold.includes(own))
    f1 += Math.max(...gold.map((text) => wordF1(own, text)))
  }
  return { exactMatch: exact / examples.length, f1: f1 / examples.length }
}

export function scoreSummaries(examples: readonly Of<'summary'>[], answers: readonly string[]): TaskMetrics {
  const references = examples.map(({ summary }) => summary)
  return { rougeL: meanRougeL(answers, references) }
}

/** Lower case, without ASCII punctuation, articles and superfluous space (SQuAD's normalisation). */
function normalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, '')
    .replace(/\b(a|an|the)\b/g, ' ')
    .split(/\s+/)
    .filter(Boolean)
    .join(' ')
}

function wordF1(own: string, gold: string): number {
  const [a, b] = [own, gold].map((text) => text.split(' ').filter(Boolean)) as [string[], string[]]
  if (!a.length || !b.length) return Number(a.length === b.length)
  const left = [...b]
  let common = 0
  for (const word of a) {
    const at = left.indexOf(word)
    if (at < 0) continue
    left.splice(at, 1)
    common++
  }
  return (2 * common) / (a.length + b.length)
}
