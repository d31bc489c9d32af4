/** What of Markdown a note shows. Nothing of it acts: links are text, tags are letters. */
export type Block =
  | { is: 'heading'; level: number; text: Inline[] }
  | { is: 'paragraph'; text: Inline[] }
  | { is: 'list'; ordered: boolean; items: Inline[][] }
  | { is: 'code'; text: string }
export interface Inline {
  is: 'text' | 'code' | 'strong' | 'emphasis'
  text: string
}

/** A note in its blocks: headings, paragraphs, lists of one level, fenced code. */
export function blocksOf(note: string): Block[] {
  const blocks: Block[] = []
  const lines = note.replace(/\r\n?/g, '\n').split('\n')
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    if (/^\s*```/.test(line)) {
      const end = lines.findIndex((other, i) => i > at && /^\s*```\s*$/.test(other))
      const stop = end < 0 ? lines.length : end
      blocks.push({ is: 'code', text: lines.slice(at + 1, stop).join('\n') })
      at = stop
      continue
    }
    const [, marks, heading] = /^(#{1,6})\s+(.*)$/.exec(line) ?? []
    if (marks) {
      blocks.push({ is: 'heading', level: marks.length, text: inlineOf(heading!) })
      continue
    }
    const [, mark, item] = /^\s*([-*+]|\d+[.)])\s+(.*)$/.exec(line) ?? []
    const last = blocks.at(-1)
    const joined = at > 0 && lines[at - 1]!.trim() !== ''
    if (mark) {
      const ordered = /\d/.test(mark)
      if (last?.is === 'list' && last.ordered === ordered) last.items.push(inlineOf(item!))
      else blocks.push({ is: 'list', ordered, items: [inlineOf(item!)] })
    } else if (line.trim()) {
      const text = inlineOf(line.trim())
      if (joined && last?.is === 'paragraph') last.text.push({ is: 'text', text: ' ' }, ...text)
      else blocks.push({ is: 'paragraph', text })
    }
  }
  return blocks
}

function inlineOf(line: string): Inline[] {
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*/g
  const parts: Inline[] = []
  let from = 0
  for (const match of line.matchAll(pattern)) {
    if (match.index > from) parts.push({ is: 'text', text: line.slice(from, match.index) })
    const [all, code, strong, emphasis] = match
    if (code !== undefined) parts.push({ is: 'code', text: code })
    else if (strong !== undefined) parts.push({ is: 'strong', text: strong })
    else parts.push({ is: 'emphasis', text: emphasis! })
    from = match.index + all.length
  }
  if (from < line.length) parts.push({ is: 'text', text: line.slice(from) })
  return parts
}
