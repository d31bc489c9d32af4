import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { usualReading, type Corpus } from '#contract'
import { scoreDocuments } from '../evaluate/tokenScores'
import { scoringWindows } from '../evaluate/windows'
import { createBatchPlan } from './batchPlan'
import { chatml, plain, renderConversation, type ChatTemplate } from './chatTemplate'
import { conversationOf } from './conversation'
import { openText } from './corpusText'
import { importCorpus } from './importCorpus'
import { previewReading } from './previewReading'
import { Reading } from './reading'
import { loadTokenizer } from './tokenizer'
import { trainTokenizer } from './trainTokenizer'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-conversations-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const asked = { role: 'user', content: 'Why?' }
const answered = { role: 'assistant', content: 'Because.' }

describe('the shape of a record', () => {
  it.each([
    ['messages', { messages: [asked, answered], id: 3 }],
    [
      'ShareGPT',
      {
        conversations: [
          { from: 'human', value: 'Why?' },
          { from: 'gpt', value: 'Because.' },
        ],
      },
    ],
    ['Alpaca', { instruction: 'Why?', input: '', output: 'Because.' }],
    ['prompt and completion', { prompt: 'Why?', completion: 'Because.' }],
    ['question and answer', { question: 'Why?', answer: 'Because.' }],
    ['Dolly', { instruction: 'Why?', context: '', response: 'Because.', category: 'open_qa' }],
    ['input and output', { input: 'Why?', output: 'Because.' }],
    ['a list by another name', { conversation: [asked, answered] }],
    ['a list beside the prompt of it', { prompt: 'Why?', prompt_id: '7', messages: [asked, answered] }],
    ['lists of both', { prompt: [asked], completion: [answered] }],
    ['parts', { messages: [{ role: 'user', content: [{ type: 'text', text: 'Why?' }] }, answered] }],
  ])('is told: %s', (_, record) => {
    expect(conversationOf(record)).toEqual({ turns: [asked, answered] })
  })

  it('leaves a role as it is called, also where every object knows the word', () => {
    const turns = ['constructor', 'toString'].map((role) => ({ role, content: 'Why?' }))
    expect(conversationOf({ messages: [...turns, answered] })).toEqual({ turns: [...turns, answered] })
  })

  it('of Alpaca puts the input below the instruction', () => {
    const found = conversationOf({ instruction: 'Say.', input: 'A', output: 'B' })
    expect(found).toEqual({
      turns: [
        { role: 'user', content: 'Say.\n\nA' },
        { role: 'assistant', content: 'B' },
      ],
    })
  })

  it('begins with what its record says to all', () => {
    const system = { role: 'system', content: 'Be short.' }
    const orca = { id: '1', system_prompt: 'Be short.', question: 'Why?', response: 'Because.' }
    expect(conversationOf(orca)).toEqual({ turns: [system, asked, answered] })
    const list = { system: 'Be short.', conversations: [asked, answered] }
    expect(conversationOf(list)).toEqual({ turns: [system, asked, answered] })
  })

  it.each([
    [{ messages: [asked] }, "no turn is the assistant's"],
    [{ messages: [{ role: 'user' }, answered] }, 'turn 1 has no text in "content" or "value"'],
    [{ messages: [{ content: 'x' }] }, 'turn 1 has no "role" and no "from"'],
    [{ messages: [{ ...answered, tool_calls: [{}] }] }, 'turn 1 calls tools, which is not read yet'],
    [{ messages: [7] }, 'turn 1 is no object'],
  ])('says what is wrong: %j', (record, problem) => {
    expect(conversationOf(record)).toEqual({ problem })
  })

  it('is none of a record of something else', () => {
    expect(conversationOf({ text: 'x', output: 'y' })).toBeUndefined()
    expect(conversationOf({ prompt: 'x', text: 'y' })).toBeUndefined()
    expect(conversationOf({ context: 'x', question: 'y', answers: { text: ['z'] } })).toBeUndefined()
  })
})

describe('a rendered conversation', () => {
  it('knows where the assistant speaks, whatever the user quotes', () => {
    const quoting = { role: 'user', content: 'Say <|im_start|>assistant\nBecause.<|im_end|>' }
    const { text, spans } = renderConversation(chatml, [quoting, answered, asked, answered])
    expect(spans.map(({ from, to }) => text.slice(from, to))).toEqual(Array(2).fill('Because.<|im_end|>\n'))
    expect(spans[0]!.from).toBeGreaterThan(quoting.content.length)
  })

  it('of plain text is a question and its answer, which has the space before it and the end of its line', () => {
    const turns = [{ role: 'system', content: 'Be brief.' }, asked, answered, asked, answered]
    const { text, spans } = renderConversation(plain, turns)
    expect(text).toBe('Be brief.\nWhy? Because.\nWhy? Because.\n')
    expect(spans.map(({ from, to }) => text.slice(from, to))).toEqual(Array(2).fill(' Because.\n'))
  })

  it('is refused of a template that writes a turn otherwise once others follow', () => {
    const forgetful: ChatTemplate = {
      source: 'x',
      render: (turns) => turns.map(({ content }, i) => (i < turns.length - 1 ? 'before;' : content)).join(''),
    }
    expect(() => renderConversation(forgetful, [asked, answered])).toThrow('turn 2 otherwise')
  })
})

async function furnish(): Promise<{ corpus: Corpus; tokenizer: Awaited<ReturnType<typeof trainTokenizer>> }> {
  const path = join(dataDir, 'chats.jsonl')
  const lines = Array.from({ length: 60 }, (_, i) => {
    const turns = Array.from({ length: 1 + (i % 3) }, (_, j) => [
      { role: 'user', content: `What is ${i} and ${j}?` },
      { role: 'assistant', content: `It is ${i + j}.` },
    ])
    return JSON.stringify({ messages: turns.flat() })
  })
  writeFileSync(path, lines.join('\n'))
  const job = { dataDir, threads: 0, id: 'chats', name: 'chats', path }
  const corpus = await importCorpus({ ...job, ...usualReading, kind: 'import-corpus' }, () => {})
  const train = { dataDir, threads: 0, kind: 'train-tokenizer', id: 'tok', name: 'tok', vocab: 300 } as const
  return { corpus, tokenizer: await trainTokenizer({ ...train, corpora: [corpus] }, () => {}) }
}

it('is imported by its shape, tokenized by a template, and read example by example', async () => {
  const { corpus, tokenizer } = await furnish()
  expect(corpus).toMatchObject({ conversations: true, documents: 60, format: 'jsonl' })
  expect(corpus.sample).toContain('assistant: It is 0.')
  await expect(openText(dataDir, { row: corpus }, tokenizer, 'train')).rejects.toThrow('no chat template')

  const reading = { loss: 'assistant', packing: 'documents', template: 'chatml' } as const
  const opened = async () => {
    const { ids, mask, ...rest } = await openText(dataDir, { row: corpus, reading }, tokenizer, 'train')
    return { ...rest, ids: ids.subarray(0, ids.length), mask: mask!.subarray(0, ids.length) }
  }
  const made = await opened()
  // What was written is what is read again.
  expect(await opened()).toEqual(made)
  const { decode } = await loadTokenizer(dataDir, tokenizer)
  const { ids, mask, documents } = made
  for (let i = 0; i < documents!.length; i += 2) {
    const own = ids.slice(documents![i], documents![i + 1])
    const said = own.filter((_, j) => mask[documents![i]! + j])
    const text = decode(own)
    const answers = [...text.matchAll(/assistant\n(It is \d+\.<\|im_end\|>\n)/g)].map(([, answer]) => answer)
    expect(answers.length).toBeGreaterThan(0)
    expect(decode(said)).toBe(answers.join(''))
    expect(text.startsWith('<|im_start|>user')).toBe(true)
  }

  const how = { dataDir, threads: 0, kind: 'preview-reading', corpus, tokenizer, reading, count: 2 } as const
  const { documents: shown } = await previewReading({ ...how, context: 1000 })
  expect(shown[0]!.parts).toEqual([
    { as: 'read', text: '<|im_start|>user\nWhat is 0 and 0?<|im_end|>\n<|im_start|>assistant\n' },
    { as: 'counted', text: 'It is 0.<|im_end|>\n' },
  ])
  expect(shown).toHaveLength(2)
  // What a sequence of 20 tokens does not reach is said of each.
  const [cut] = (await previewReading({ ...how, context: 20 })).documents
  expect(cut!.counted).toBe(0)
  expect(cut!.parts.map(({ as }) => as)).toEqual(['read', 'unread'])
  expect(cut!.parts.map(({ text }) => text).join('')).toBe(shown[0]!.parts.map(({ text }) => text).join(''))

  const context = 64
  const plan = createBatchPlan({
    seed: 1,
    batch: 3,
    context,
    sources: [{ name: 'chats', weight: 1, tokens: made }],
  })
  for (let step = 1; step < 20; step++) {
    const { inputs, targets, mask: counted, starts } = plan.at(step)
    for (let row = 0; row < 3; row++) {
      const at = documents!.findIndex((place, i) => i % 2 === 0 && place === starts[row])
      const [start, end] = [documents![at]!, Math.min(documents![at + 1]!, documents![at]! + context + 1)]
      const filled = (values: Iterable<number>) => [...values, ...Array(context).fill(0)].slice(0, context)
      const part = (values: Int32Array | Float32Array) => [
        ...values.subarray(row * context, (row + 1) * context),
      ]
      expect(part(inputs)).toEqual(filled(ids.subarray(start, end - 1)))
      expect(part(targets)).toEqual(filled(ids.subarray(start + 1, end)))
      expect(part(counted!)).toEqual(filled(mask.subarray(start + 1, end)))
      expect(Math.max(...part(counted!))).toBe(1)
    }
  }
})

it('is scored conversation by conversation, each by what counts of it', () => {
  // A BOS that no template wrote, two conversations of three and four tokens.
  const text = {
    ids: Int32Array.of(0, 5, 6, 7, 0, 8, 9, 4, 3),
    documents: Int32Array.of(1, 4, 5, 9),
    mask: Uint8Array.of(0, 0, 1, 1, 0, 0, 0, 1, 0),
  }
  const windows = scoringWindows(text.ids, { ...text, context: 2, batch: 2, bos: 0, stride: 2 })
  const scored = windows.flatMap(({ targets, weights }) => [...targets].filter((_, i) => weights[i]))
  expect(scored).toEqual([6, 7, 4])
  const tokenizer = { bos: 0, decode: () => '', piece: (id: number) => new Uint8Array(id) }
  const rows = scoreDocuments('chats', text, [-1, -2, -4], tokenizer)
  expect(rows.map(({ tokens, bytes, nll }) => [tokens, bytes, nll])).toEqual([
    [2, 13, 3],
    [1, 4, 4],
  ])
})

describe('a record with a conversation and a text', () => {
  const records = [
    { instruction: 'Why?', input: '', output: 'Because.', text: 'Below is an instruction. Why? Because.' },
    { text: 'Only text.', source: 'x' },
  ]
  const folder = mkdtempSync(join(tmpdir(), 'retort-records-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const read = async (field: string) => {
    const file = join(folder, 'records.jsonl')
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    const documents = []
    const reading = new Reading({ format: 'auto', field, unreadable: 'stop' })
    for await (const document of reading.documents(file)) documents.push(document)
    return documents
  }

  it('is the conversation, whose template is that of the tokenizer; as a template the field is the text', async () => {
    const text = 'Only text.'
    const turns = [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: 'Because.' },
    ]
    expect(await read('text')).toEqual([turns, text])
    expect(await read('{text}')).toEqual([records[0]!.text, text])
  })
})
