import { isRecord, type Turn } from '#contract'

export { plainText, type Document, type Turn } from '#contract'

/** The fields that conversations are found by, of any shape. */
export const CONVERSATION_FIELDS = [
  ...['messages', 'conversations', 'instruction', 'input', 'output', 'prompt', 'completion', 'system'],
]

type Found = { turns: Turn[] } | { problem: string }

/**
 * The turns of a record, by its shape: `messages`, ShareGPT's `conversations`, Alpaca's `instruction`, `input` and
 * `output`, or `prompt` and `completion`. Undefined for a record of none of them.
 */
export function conversationOf(record: unknown): Found | undefined {
  if (!isRecord(record)) return undefined
  const { messages, conversations, instruction, input, output, prompt, completion, system } = record
  const before = isText(system) ? [{ role: 'system', content: system }] : []
  if (Array.isArray(messages)) return turnsOf(messages)
  if (Array.isArray(conversations)) return turnsOf([...before, ...(conversations as unknown[])])
  if (isText(instruction) && typeof output === 'string') {
    const asked = isText(input) ? `${instruction}\n\n${input}` : instruction
    return turnsOf([...before, { role: 'user', content: asked }, { role: 'assistant', content: output }])
  }
  if (Array.isArray(prompt) && Array.isArray(completion))
    return turnsOf([...(prompt as unknown[]), ...(completion as unknown[])])
  if (isText(prompt) && typeof completion === 'string')
    return turnsOf([...before, { role: 'user', content: prompt }, { role: 'assistant', content: completion }])
  return undefined
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
