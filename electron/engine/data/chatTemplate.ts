import type { Turn } from './conversation'

/** What writes turns as text for a model. */
export interface ChatTemplate {
  /** Tells templates apart: their text. */
  source: string
  /** @param prompt whether the beginning of the assistant's next turn follows */
  render(turns: readonly Turn[], prompt: boolean): string
}

/** A conversation as text, and where in it the assistant speaks: from after its prompt to the end of its turn. */
export interface Rendered {
  text: string
  spans: { from: number; to: number }[]
}

const BEGIN = '<|im_start|>'
const END = '<|im_end|>'

/** OpenAI's ChatML, as Qwen and others write it, without a system turn of its own. */
export const chatml: ChatTemplate = {
  source: 'chatml',
  render: (turns, prompt) =>
    turns.map(({ role, content }) => `${BEGIN}${role}\n${content}${END}\n`).join('') +
    (prompt ? `${BEGIN}assistant\n` : ''),
}

/** Nothing but what is said: a question, and after a space its answer, which ends with its line, as tasks are written. */
export const plain: ChatTemplate = {
  source: 'plain',
  render: (turns) =>
    turns
      .map(({ role, content }) =>
        role === 'assistant' ? ` ${content}\n` : role === 'system' ? `${content}\n` : content,
      )
      .join(''),
}

/**
 * Renders a conversation turn by turn, so that it is known where the assistant speaks: each beginning must be the
 * beginning of the whole.
 *
 * @throws an Error that says what the template does otherwise
 */
export function renderConversation(template: ChatTemplate, turns: readonly Turn[]): Rendered {
  const text = template.render(turns, false)
  const spans: Rendered['spans'] = []
  for (const [i, { role }] of turns.entries()) {
    if (role !== 'assistant') continue
    const before = template.render(turns.slice(0, i), true)
    const after = i === turns.length - 1 ? text : template.render(turns.slice(0, i + 1), false)
    if (!after.startsWith(before) || !text.startsWith(after))
      throw new Error(`the template writes turn ${i + 1} otherwise once others follow`)
    spans.push({ from: before.length, to: after.length })
  }
  return { text, spans }
}
