import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { numberOf, usualReading } from '#contract'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished

beforeAll(async () => {
  furnished = await openFurnished({ sums: false })
  const { folder, dataDir, services } = furnished
  const { library } = services.rooms
  const lines = Array.from({ length: 200 }, (_, i) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `What is ${i % 9} and ${i % 7}?` },
        { role: 'assistant', content: `It is ${(i % 9) + (i % 7)}, of course.` },
      ],
    }),
  )
  const path = join(folder, 'chats.jsonl')
  writeFileSync(path, lines.join('\n'))
  await library.importCorpus({ path, name: 'chats', ...usualReading })
  // Another vocabulary, with a template of its own.
  const trained = await library.trainTokenizer({ name: 'trained', corpora: ['chats'], vocab: 400 })
  const other = join(folder, 'other')
  mkdirSync(other)
  const file = join(dataDir, 'library', 'tokenizers', trained.id, 'tokenizer.json')
  const json = JSON.parse(readFileSync(file, 'utf8')) as { added_tokens: object[] }
  json.added_tokens.push({ ...json.added_tokens[0], id: trained.vocab, content: '<end>' })
  writeFileSync(join(other, 'tokenizer.json'), JSON.stringify(json))
  const template =
    "{% for m in messages %}{% if m.role == 'user' %}[Q] {{ m.content }} [A]{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
  const settings = { bos_token: '<|endoftext|>', eos_token: '<end>', chat_template: template }
  writeFileSync(join(other, 'tokenizer_config.json'), JSON.stringify(settings))
  await library.importTokenizer({ path: other, name: 'other' })
  await furnished.teach({
    name: 'teacher',
    corpus: 'chats',
    tokenizer: 'other',
    model: { width: 32, layers: 1, heads: 2, context: 96 },
    train: { steps: 60, batch: 8, context: 64, learningRate: 0.01, warmup: 2 },
  })
}, 120_000)
afterAll(() => furnished.close())

const definition = (name: string, changes: object) =>
  stringify({
    name,
    corpus: [{ name: 'chats', template: 'chatml' }],
    tokenizer: 'bpe',
    student: { width: 32, layers: 1, heads: 2, context: 64 },
    teachers: ['teacher'],
    loss: { lambda: 1, features: false },
    train: { steps: 40, batch: 8, context: 64, learningRate: 0.01, warmup: 2 },
    evaluate: { every: 20, tokens: 600 },
    ...changes,
  })

it.each([
  ['spans', {}],
  ['uld', {}],
  ['spans', { corpus: [{ name: 'chats', template: 'plain', packing: 'windows', loss: 'all' }] }],
])(
  'a student learns answers by %s from a teacher that reads them in its own template',
  async (compare, changes) => {
    const { experiments, runs } = furnished.services.rooms
    const loss = { lambda: 1, features: false, foreign: { compare } }
    const { id } = await furnished.completed(
      experiments.start({ definition: definition(`by-${compare}`, { loss, ...changes }) }).id,
    )
    const { steps, evaluations } = runs.folder(id).metrics()
    const apart = steps.map(({ foreign }) => numberOf(foreign![0]))
    expect(apart.every((one) => Number.isFinite(one) && one > 0)).toBe(true)
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length
    expect(mean(apart.slice(-5))).toBeLessThan(0.7 * mean(apart.slice(0, 5)))
    const [first, last] = evaluations.map(({ corpora }) => numberOf(corpora[0]!.foreign![0]))
    expect(last!).toBeLessThan(first!)
  },
  120_000,
)

it('is refused packed documents, which lie otherwise in its tokens', () => {
  const corpus = [{ name: 'chats', template: 'chatml', packing: 'packed' }]
  const { experiments } = furnished.services.rooms
  expect(() => experiments.start({ definition: definition('packed', { corpus }) })).toThrow(
    'corpus.0.packing: teacher "teacher" has another tokenizer and reads a document a sequence; expected documents or windows',
  )
})
