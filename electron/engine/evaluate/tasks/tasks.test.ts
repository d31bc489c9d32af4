import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ModelConfig, TaskFormat } from '#contract'
import { startBackend } from '../../backend'
import { tf } from '../../backend/tf'
import { importCorpus } from '../../data/importCorpus'
import { nativeModel } from '../../model/languageModel'
import { createTables, forward } from '../../model/forward'
import { initialise, toTensors } from '../../model/weights'
import { evaluateTask, rankChoices } from './evaluateTask'
import { parseEntities, renderEntities, renderExample, toTags, type TaskExample } from './example'
import { readTask } from './readers'
import { scoreAnswers, scoreChoices, scoreEntities } from './scoring'

const shared = resolve(import.meta.dirname, '../../../../../shared/data/tasks')
const hasShared = existsSync(shared)
if (!hasShared) console.warn('SKIPPED: tests on real task files need ../shared/data')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(folder, { recursive: true, force: true })
})
function file(text: string): string {
  const path = join(folder, 'task')
  writeFileSync(path, text)
  return path
}
const read = (format: TaskFormat, text: string) => readTask(format, file(text))

describe('readers', () => {
  it('read SST-2, with and without the header, byte-order mark and Windows line ends', () => {
    const examples = read('sst2', '\ufeffsentence\tlabel\r\na fine film\t1\r\n\r\ndull \t0')
    expect(examples.map(renderExample)).toEqual([
      'Review: a fine film\nSentiment: positive',
      'Review: dull\nSentiment: negative',
    ])
    expect(read('sst2', 'x\t0\n')).toHaveLength(1)
  })

  it('read MRPC, its quotes as text', () => {
    const [example] = read('mrpc', 'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\t"A" b.\t"A" c.\n')
    expect(renderExample(example!)).toBe('First: "A" b.\nSecond: "A" c.\nSame meaning: yes')
  })

  it('read CoNLL: spans from BIO tags, sentences from blank lines', () => {
    const text =
      '-DOCSTART- -X- O O\n\nAda NNP I-NP B-person\nLovelace NNP I-NP I-person\nin IN I-PP O\nNew NNP B-NP B-location\nYork NNP I-NP I-location\n\t\nhello UH O O\n'
    const examples = read('conll', text)
    expect(examples).toHaveLength(2)
    expect(renderExample(examples[0]!)).toBe(
      'Text: Ada Lovelace in New York\nEntities: Ada Lovelace (person); New York (location)',
    )
    expect(renderExample(examples[1]!)).toBe('Text: hello\nEntities: none')
  })

  it('read SQuAD, summaries and text to text', () => {
    const qas = [
      { question: 'Who?', answers: [{ text: 'Ada' }, { text: 'Ada L.' }] },
      { question: 'Unanswerable?', answers: [], is_impossible: true },
    ]
    const squad = read(
      'squad',
      JSON.stringify({ version: '2', data: [{ paragraphs: [{ context: 'Ada.', qas }] }] }),
    )
    expect(squad).toEqual([
      { kind: 'answer', prompt: 'Context: Ada.\nQuestion: Who?\nAnswer:', answers: ['Ada', 'Ada L.'] },
    ])
    const [summary] = read('summarization', '{"document":"long","summary":"short"}')
    expect(renderExample(summary!)).toBe('Document: long\nSummary: short')
    const [choice] = read('text-to-text', '{"prompt":"2+2=","target":"4","choices":["3","4"]}\n')
    expect(choice).toMatchObject({ kind: 'choice', answer: 1 })
  })

  it.each<[TaskFormat, string, RegExp]>([
    ['sst2', 'good\t1\nbad\t2\n', /task:2: .*sentence TAB 0 or 1/],
    ['sst2', 'no tab\n', /task:1: /],
    ['mrpc', 'Quality\tid\n', /task:1: .*five columns/],
    ['mrpc', 'a\tb\tc\td\te\n1\t2\t3\tonly one\n', /task:2: /],
    ['conll', 'a\tO\nb\tB_x\n', /task:2: .*B-type/],
    ['conll', 'alone\n', /task:1: /],
    ['squad', '{"data":[\n{"paragraphs":\n]}', /task: it cannot be read as JSON \(line 3, column 1\)/],
    ['squad', '{"data":[{"paragraphs":[{"qas":[]}]}]}', /task: data\.0\.paragraphs\.0\.context/],
    ['summarization', '{"document":"a","summary":"b"}\n{"document":"a"}\n', /task:2: summary/],
    ['summarization', '{"document":"a","summary":"b"}\n{', /task:2: .*not JSON/],
    ['text-to-text', '{"prompt":"a","target":"b","choices":["c","d"]}', /task:1: .*not among the choices/],
    ['sst2', '\n\n', /no example/],
  ])('refuse a malformed %s file by its line: %j', (format, text, message) => {
    expect(() => read(format, text)).toThrow(message)
  })

  it('refuse what is not UTF-8', () => {
    writeFileSync(join(folder, 'task'), Buffer.from([0x61, 0xff, 0x09, 0x31]))
    expect(() => readTask('sst2', join(folder, 'task'))).toThrow(/not UTF-8/)
  })

  it.skipIf(!hasShared)('read the real files whole', () => {
    const count = (format: TaskFormat, name: string) => readTask(format, join(shared, name)).length
    expect(count('sst2', 'sst2.dev.tsv')).toBeGreaterThan(800)
    expect(count('mrpc', 'mrpc.train.tsv')).toBe(1000)
    const ner = readTask('conll', join(shared, 'wnut17.train.conll'))
    const entities = ner.flatMap((e) => (e.kind === 'entities' ? e.entities : []))
    const types = new Set(entities.map(({ type }) => type))
    expect([...types].sort()).toEqual([
      'corporation',
      'creative-work',
      'group',
      'location',
      'person',
      'product',
    ])
  })

  it.skipIf(!hasShared)('make a corpus with splits of a task file', async () => {
    const job = {
      dataDir: folder,
      threads: 0,
      kind: 'import-corpus' as const,
      id: 'reviews',
      name: 'reviews',
    }
    const path = join(shared, 'sst2.dev.tsv')
    const row = await importCorpus(
      {
        ...job,
        path,
        format: 'sst2',
        field: 'text',
        unreadable: 'stop',
        duplicates: 'keep',
        nearDuplicates: 'keep',
      },
      () => {},
    )
    const examples = readTask('sst2', path)
    expect(row).toMatchObject({ format: 'sst2', documents: examples.length })
    expect(row.heldOutDocuments / examples.length).toBeCloseTo(0.05, 1)
    expect(row.sample).toBe(renderExample(examples[0]!))
  })
})

describe('entities', () => {
  const tokens = 'Ada met Ada in New York'.split(' ')
  const entities = [
    { start: 0, end: 1, type: 'person' },
    { start: 2, end: 3, type: 'person' },
    { start: 4, end: 6, type: 'location' },
  ]

  it('come back from their text, each at a place of its own', () => {
    expect(parseEntities(renderEntities(tokens, entities), tokens)).toEqual(entities)
    expect(parseEntities('none', tokens)).toEqual([])
    expect(toTags(6, entities)).toEqual(['B-person', 'O', 'B-person', 'O', 'B-location', 'I-location'])
  })

  it('are scored as by hand', () => {
    const example = { kind: 'entities' as const, prompt: '', tokens, entities }
    // One right, one of the wrong type, one that is not in the text: 2 * 1 / (3 + 3); tags wrong at Ada 2, New, York.
    const answer = 'Ada (person); New York (person); Paris (location)'
    const scores = scoreEntities([example], [answer])
    expect(scores['entityF1']).toBeCloseTo(1 / 3, 12)
    expect(scores['tokenAccuracy']).toBeCloseTo(3 / 6, 12)
    expect(scoreEntities([example], ['rubbish ('])['entityF1']).toBe(0)
  })
})

describe('answers', () => {
  it('are compared as SQuAD does', () => {
    const example = { kind: 'answer' as const, prompt: '', answers: ['the Eiffel Tower', 'Tour Eiffel'] }
    expect(scoreAnswers([example], ['Eiffel tower.'])).toEqual({ exactMatch: 1, f1: 1 })
    // 1 common word of 2 and 2.
    expect(scoreAnswers([example], ['tower bridge'])).toEqual({ exactMatch: 0, f1: 0.5 })
  })

  it('are counted beside the commonest', () => {
    const choice = (answer: number) => ({
      kind: 'choice' as const,
      prompt: '',
      choices: ['no', 'yes'],
      answer,
    })
    expect(scoreChoices([choice(0), choice(0), choice(1), choice(0)], [0, 1, 1, 0])).toEqual({
      accuracy: 0.75,
      majority: 0.75,
    })
  })
})

describe('a model on a task', () => {
  const config: ModelConfig = {
    family: 'llama',
    vocab: 257,
    width: 16,
    layers: 1,
    heads: 2,
    kvHeads: 2,
    hidden: 32,
    context: 64,
    tied: true,
    ropeBase: 10000,
    normEpsilon: 1e-5,
  }
  /** A byte a token. */
  const tokenizer = {
    vocab: 257,
    bos: 256,
    ends: [256],
    encode: (text: string) => Int32Array.from(Buffer.from(text)),
    decode: (ids: ArrayLike<number>) => Buffer.from(Array.from(ids).filter((id) => id < 256)).toString(),
    piece: (id: number) => Uint8Array.of(...(id < 256 ? [id] : [])),
    special: () => undefined,
  }
  const choice = (prompt: string, choices: string[]): TaskExample & { kind: 'choice' } => ({
    kind: 'choice',
    prompt,
    choices,
    answer: 0,
  })

  it('ranks choices by their mean log-probability, and reads the end of a long prompt', async () => {
    await startBackend('onnx', { threads: 1 })
    const parameters = toTensors(initialise(config, 5))
    const model = nativeModel(config, parameters)
    const examples = [
      choice('is it', ['yes', 'no', 'perhaps so']),
      choice('x'.repeat(90) + ' end', ['a', 'bcd']),
      choice('short', ['q', 'zz']),
    ]
    const chosen = await rankChoices({ model, tokenizer }, examples)
    const tables = createTables(config, 64)
    for (const [i, { prompt, choices }] of examples.entries()) {
      const means: number[] = []
      for (const text of choices) {
        const whole = Buffer.from(`${prompt} ${text}`)
        const ids = [256, ...whole.subarray(Math.max(0, whole.length - 64))]
        const padded = Int32Array.from({ length: 64 }, (_, t) => ids[t] ?? 0)
        const logits = tf.tidy(
          () => forward(config, parameters, tf.tensor2d(padded, [1, 64], 'int32'), tables).logits,
        )
        const values = await logits.array()
        const from = ids.length - text.length - 1
        let sum = 0
        for (let t = from; t < ids.length; t++) {
          const row = values[t - 1]!
          sum += row[ids[t]!]! - Math.log(row.reduce((a, z) => a + Math.exp(z), 0))
        }
        means.push(sum / (ids.length - from))
      }
      expect(chosen[i]).toBe(means.indexOf(Math.max(...means)))
    }
    tables.dispose()
    const free: TaskExample[] = [{ kind: 'summary', prompt: 'Document: a\nSummary:', summary: 'a' }]
    const score = await evaluateTask('summarization', { model, tokenizer }, free)
    expect(score).toMatchObject({ task: 'summarization', examples: 1 })
    expect(score.metrics['rougeL']).toBeGreaterThanOrEqual(0)
  })
})
