import { plainText, type Document, type Turn } from '#contract'

/** A document as a line of `documents.jsonl`; of a conversation the turns, and its text for whoever shows it. */
export function lineOf(document: Document): string {
  return JSON.stringify({
    text: plainText(document),
    ...(typeof document !== 'string' && { turns: document }),
  })
}

/** @param line as `lineOf` writes it */
export function documentOf(line: string): Document {
  const { text, turns } = JSON.parse(line) as { text: string; turns?: Turn[] }
  return turns ?? text
}
