import { isRecord, type Turn } from '#contract'

export { plainText, type Document, type Turn } from '#contract'

/** Fields that hold lists of turns. */
const LISTS = ['messages', 'conversations', 'conversation'] as const
/** Fields of a question, of what it is about, of its answer, and of what is said before both, as data sets call them. */
const QUESTIONS = ['instruction', 'prompt', 'question', 'query'] as const
const MATTERS = ['input', 'context'] as const
const ANSWERS = ['output', 'completion', 'response', 'answer'] as const
const SYSTEMS = ['system', 'system_prompt'] as const

/** The fields that conversations are found by, of any shape. */
export const CONVERSATION_FIELDS: readonly string[] = [
  ...LISTS,
  ...QUESTIONS,
  ...MATTERS,
  ...ANSWERS,
  ...SYSTEMS,
]

type Found = { turns: Turn[] } | { problem: string }

/**
 * The turns of a record, by its shape: a list of them (`messages`, ShareGPT's `conversations`), or a question with its
 * answer: Alpaca's `instruction`, `input` and `output`, Dolly's `instruction`, `context` and `response`, `prompt` and
 * `completion`, `question` and `answer`. Undefined for a record of none of them.
 */
export function conversationOf(record: unknown): Found | undefined {
  if (!isRecord(record)) return undefined
  const { prompt, completion } = record
  const first = (names: readonly string[]) => names.map((name) => record[name]).find(isText)
  const system = first(SYSTEMS)
  const before = system === undefined ? [] : [{ role: 'system', content: system }]
  const list = LISTS.map((name) => record[name]).find(Array.isArray) as unknown[] | undefined
  // Lists of messages have their system's turn in themselves.
  if (list) return turnsOf(list === record['messages'] ? list : [...before, ...list])
  if (Array.isArray(prompt) && Array.isArray(completion))
    return turnsOf([...(prompt as unknown[]), ...(completion as unknown[])])
  const [named, matter] = [first(QUESTIONS), first(MATTERS)]
  const answer = ANSWERS.map((name) => record[name]).find((value) => typeof value === 'string')
  const question = named ?? matter
  if (question === undefined || answer === undefined) return undefined
  const asked = named !== undefined && matter !== undefined ? `${named}\n\n${matter}` : question
  return turnsOf([...before, { role: 'user', content: asked }, { role: 'assistant', content: answer }])
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''

/** Names that ShareGPT's files have for the sides. */
const SIDES = new Map([
  ['human', 'user'],
  ['gpt', 'assistant'],
  ['chatgpt', 'assistant'],
  ['model', 'assistant'],
  ['bot', 'assistant'],
])

/** Turns of `{role, content}` or `{from, value}`. */
export function turnsOf(list: readonly unknown[]): Found {
  const turns: Turn[] = []
  for (const [i, turn] of list.entries()) {
    const problem = (what: string) => ({ problem: `turn ${i + 1} ${what}` })
    if (!isRecord(turn)) return problem('is no object')
    const role = turn['role'] ?? turn['from']
    if (typeof role !== 'string') return problem('has no "role" and no "from"')
    if (turn['tool_calls'] !== undefined && turn['tool_calls'] !== null)
      return problem('calls tools, which is not read yet')
    const content = contentOf(turn['content'] ?? turn['value'])
    if (content === undefined) return problem('has no text in "content" or "value"')
    turns.push({ role: SIDES.get(role) ?? role, content })
  }
  if (!turns.some(({ role }) => role === 'assistant')) return { problem: "no turn is the assistant's" }
  return { turns }
}

/** A text, or the texts of a list of parts that are nothing else. */
function contentOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const parts = value.map((part) => (isRecord(part) && part['type'] === 'text' ? part['text'] : undefined))
  return parts.every((part) => typeof part === 'string') ? parts.join('') : undefined
}
