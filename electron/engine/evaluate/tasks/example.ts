/** One example of a task as text to text; what it is scored by depends on its kind. */
export type TaskExample = { prompt: string } & (
  | { kind: 'choice'; choices: readonly string[]; answer: number }
  | { kind: 'entities'; tokens: readonly string[]; entities: readonly Entity[] }
  | { kind: 'answer'; answers: readonly string[] }
  | { kind: 'summary'; summary: string }
)

/** A named entity: tokens [start, end) and its type. */
export interface Entity {
  start: number
  end: number
  type: string
}

/**
 * What stands between a prompt and its answer, and what a model is asked to write (documented in README). Training text
 * is prompt and answer joined; an answer ends with its line.
 */
export function renderExample(example: TaskExample): string {
  return `${example.prompt} ${answerOf(example)}`
}

function answerOf(example: TaskExample): string {
  switch (example.kind) {
    case 'choice':
      return example.choices[example.answer]!
    case 'entities':
      return renderEntities(example.tokens, example.entities)
    case 'answer':
      return example.answers[0]!
    case 'summary':
      return example.summary
  }
}

/** `New York (location); Ada (person)`, or `none`. */
export function renderEntities(tokens: readonly string[], entities: readonly Entity[]): string {
  if (!entities.length) return 'none'
  return entities.map(({ start, end, type }) => `${tokens.slice(start, end).join(' ')} (${type})`).join('; ')
}

/**
 * Reads what `renderEntities` writes back into entities: each is looked for among the tokens not yet taken. What is not
 * found there, or has no type, becomes an entity at no place (start -1), which is wrong but counts as one claimed.
 */
export function parseEntities(text: string, tokens: readonly string[]): Entity[] {
  const answer = text.trim()
  if (!answer || answer === 'none') return []
  const taken = new Array<boolean>(tokens.length).fill(false)
  return answer.split(';').map((part) => {
    const [, name = '', type = ''] = /^\s*(.*?)\s*\(([^()]*)\)\s*$/.exec(part) ?? []
    const words = name.split(' ').filter(Boolean)
    const fits = (at: number) => words.every((word, i) => tokens[at + i] === word && !taken[at + i])
    const start = words.length ? tokens.findIndex((_, at) => fits(at)) : -1
    if (start < 0) return { start: -1, end: -1, type }
    taken.fill(true, start, start + words.length)
    return { start, end: start + words.length, type }
  })
}

/** Entities as a BIO tag per token. */
export function toTags(length: number, entities: readonly Entity[]): string[] {
  const tags = new Array<string>(length).fill('O')
  for (const { start, end, type } of entities) {
    for (let i = start; i >= 0 && i < end; i++) tags[i] = `${i === start ? 'B' : 'I'}-${type}`
  }
  return tags
}
