/** What one side says. */
export interface Turn {
  /** `system`, `user`, `assistant`, or what else a template knows. */
  role: string
  content: string
}

/** A document of a corpus: text, or a conversation that a tokenizer's template makes text of. */
export type Document = string | readonly Turn[]

/** A document as a person reads it, without any template. */
export function plainText(document: Document): string {
  if (typeof document === 'string') return document
  return document.map(({ role, content }) => `${role}: ${content}`).join('\n\n')
}
