import { describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { alignConversations, type SpokenStream } from './alignConversations'
import { chatml, plain, type ChatTemplate } from './chatTemplate'
import type { Turn } from './conversation'
import { encodeConversation } from './conversationTokens'
import { countedSpans, emptyAlignedBatch, fillRow, scaled } from './spanWindow'
import type { TextTokenizer } from './textTokenizer'

/** Words cut into pieces of so many characters, and specials, which have no bytes. */
function tokenizerOf(size: number, specials: readonly string[]): TextTokenizer {
  const texts: string[] = ['', ...specials]
  const ids = new Map(texts.map((text, id) => [text, id]))
  const idOf = (text: string) => ids.get(text) ?? (ids.set(text, texts.length), texts.push(text) - 1)
  return {
    vocab: 1 << 20,
    bos: 0,
    ends: [0],
    encode(text) {
      const parts = specials.length
        ? text.split(new RegExp(`(${specials.map((one) => one.replaceAll('|', '\\|')).join('|')})`))
        : [text]
      return Int32Array.from(
        parts.flatMap((part) =>
          specials.includes(part)
            ? [ids.get(part)!]
            : (part.match(/\s|\S+/g) ?? [])
                .flatMap((word) => word.match(new RegExp(`.{1,${size}}|\n`, 'g'))!)
                .map(idOf),
        ),
      )
    },
    decode: (all) => Array.from(all, (id) => texts[id]).join(''),
    piece: (id) => Buffer.from(id > specials.length ? texts[id]! : ''),
    special: (id) => (id <= specials.length ? texts[id] : undefined),
  }
}

const random = createRandom(2, 'spoken')
const words = (count: number) =>
  Array.from({ length: count }, () => 'one two three four é 語'.split(' ')[random.integer(6)]).join(' ')
const conversations: Turn[][] = Array.from({ length: 40 }, (_, i) =>
  Array.from({ length: 1 + (i % 3) }, () => [
    { role: 'user', content: words(1 + random.integer(5)) },
    { role: 'assistant', content: words(1 + random.integer(6)) },
  ]).flat(),
)

function streamOf(tokenizer: TextTokenizer, template: ChatTemplate, bos: boolean): SpokenStream {
  const ids: number[] = []
  const assistant: number[] = []
  const begins: number[] = []
  for (const turns of conversations) {
    const encoded = encodeConversation(tokenizer, template, turns)
    if (bos) {
      ids.push(0)
      assistant.push(0)
    }
    begins.push(ids.length)
    ids.push(...encoded.ids)
    assistant.push(...encoded.mask)
  }
  return {
    name: 'test',
    ids: Int32Array.from(ids),
    assistant: Uint8Array.from(assistant),
    begins: Int32Array.from(begins),
    tokenizer,
  }
}

const brackets: ChatTemplate = {
  source: 'brackets',
  render: (turns) =>
    turns
      .map(({ role, content }) => (role === 'user' ? `[INST] ${content} [/INST]` : ` ${content}</s>`))
      .join(''),
}
const MARKS = ['<|im_start|>', '<|im_end|>']
const sides: [string, SpokenStream, SpokenStream][] = [
  [
    'specials on both sides',
    streamOf(tokenizerOf(3, MARKS), chatml, true),
    streamOf(tokenizerOf(2, ['</s>']), brackets, false),
  ],
  [
    'an end that is text',
    streamOf(tokenizerOf(2, []), chatml, true),
    streamOf(tokenizerOf(3, ['</s>']), brackets, true),
  ],
  ['lines', streamOf(tokenizerOf(1, MARKS), chatml, false), streamOf(tokenizerOf(4, []), plain, true)],
]

describe.each(sides)('answers in two templates: %s', (_, student, teacher) => {
  const spans = alignConversations(student, teacher, 'chats')
  const bytes = ({ ids, tokenizer }: SpokenStream, from: number, to: number) =>
    Buffer.concat(Array.from(ids.subarray(from, to), (id) => tokenizer.piece(id)))

  it('are cut into spans of the same text, which hold all of what is said', () => {
    expect(spans.student.at(-1)).toBe(student.ids.length)
    expect(spans.teacher.at(-1)).toBe(teacher.ids.length)
    let said = ''
    for (let s = 0; s < spans.student.length; s++) {
      const [from, to] = [spans.student[s - 1] ?? 0, spans.student[s]!]
      const [there, until] = [spans.teacher[s - 1] ?? 0, spans.teacher[s]!]
      expect(to).toBeGreaterThanOrEqual(from)
      expect(until).toBeGreaterThanOrEqual(there)
      if (!spans.compared[s]) continue
      expect(student.assistant.subarray(from, to)).not.toContain(0)
      expect(teacher.assistant.subarray(there, until)).not.toContain(0)
      const [one, other] = [bytes(student, from, to), bytes(teacher, there, until)].map((text) =>
        text.toString('latin1'),
      )
      expect(one!.trimStart().trimEnd()).toBe(other!.trimStart().trimEnd())
      said += one
    }
    const all = conversations
      .flat()
      .filter(({ role }) => role === 'assistant')
      .map(({ content }) => content)
    const count = Buffer.byteLength(all.join('').replaceAll(' ', ''))
    // What stands in a token with an end that is text is no part of it.
    expect(said.replace(/\s/g, '').length / count).toBeGreaterThan(0.6)
    expect(said.replace(/\s/g, '').length).toBeLessThanOrEqual(count)
  })

  it('are what a row compares, of its own conversation alone', () => {
    const shape = { context: 64, time: 128 }
    for (const place of [0, 3, 20]) {
      const start = student.begins[place]!
      const end = student.begins[place + 1]! - student.begins[0]!
      const batch = emptyAlignedBatch(1, shape)
      fillRow(batch, 0, { spans, teacher: teacher.ids }, start, shape)
      const mask = Float32Array.from({ length: 64 }, (_, i) =>
        start + i + 1 < end ? student.assistant[start + i + 1]! : 0,
      )
      const counted = countedSpans(scaled(batch), mask)
      const begun = [...counted.begins.keys()].filter((i) => counted.begins[i])
      expect(begun.length).toBeGreaterThan(0)
      expect(counted.scale).toBeCloseTo(64 / begun.length, 6)
      for (const i of begun) {
        // The span's text in the teacher's targets begins where its place says.
        const first = [...counted.teacherSpans.keys()].filter((j) => counted.teacherSpans[j] === i)
        expect(first[0]).toBe(counted.at[i])
        const its = Buffer.concat(first.map((j) => teacher.tokenizer.piece(counted.targets[j]!)))
        const own = [...counted.spans.keys()].filter((j) => counted.spans[j] === i)
        const text = Buffer.concat(own.map((j) => student.tokenizer.piece(student.ids[start + j + 1]!)))
        expect(text.toString().trim()).toBe(its.toString().trim())
        expect(start + i + 1).toBeLessThan(end)
      }
    }
  })
})

it('refuses tokens of other conversations', () => {
  const [, student, teacher] = sides[0]!
  const fewer = { ...teacher, begins: teacher.begins.subarray(1) }
  expect(() => alignConversations(student, fewer, 'chats')).toThrow('corpus "chats" has other conversations')
})
