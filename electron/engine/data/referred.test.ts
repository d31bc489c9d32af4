import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { usualReading, type Corpus, type Document } from '#contract'
import { createRandom } from '../random'
import { readDocuments } from './documents'
import { importCorpus } from './importCorpus'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-referred-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const random = createRandom(8, 'referred.test')
const words = (count: number) =>
  Array.from({ length: count }, () => ['é', '語', 'word', '😀', 'x,y', '"'][random.integer(6)]!).join(' ')

let imports = 0
function bring(path: string, changes: object = {}): Promise<Corpus> {
  const id = `c${++imports}`
  return importCorpus(
    { dataDir, threads: 0, kind: 'import-corpus', id, name: id, path, ...usualReading, ...changes },
    () => {},
  )
}

async function documents(corpus: Corpus, split?: 'train'): Promise<Document[]> {
  const all: Document[] = []
  for await (const document of readDocuments(dataDir, corpus, split)) all.push(document)
  return all
}

/** Blank lines and none, lines that end in two ways, one without an end, longer than a block may be, and a mark. */
const plain = [
  '\ufeff' + words(900),
  ...Array.from({ length: 40 }, (_, i) => words(1 + random.integer(700)) + (i % 3 ? '\r\n' : '\n\n\n')),
  words(20_000),
  '\n\n\n',
  ...Array.from({ length: 40 }, () => `${words(100)}\n`),
  'the last line',
].join('\n')
const records = Array.from({ length: 200 }, (_, i) =>
  i % 20 === 7 ? '{"text": 3}' : JSON.stringify({ data: { text: words(1 + random.integer(300)), n: i } }),
)
const chats = Array.from({ length: 60 }, (_, i) =>
  JSON.stringify({ prompt: `${words(5)} ${i}`, completion: words(9) }),
)

describe('a corpus whose text stays where it is', () => {
  it.each([
    ['plain text', { 'a.txt': plain }, {}],
    ['several files', { 'a.txt': plain, 'b.txt': `${words(3000)}\n\n${words(30)}` }, {}],
    [
      'JSON lines, some of which cannot be read',
      { 'a.jsonl': records.join('\r\n\n') },
      { field: 'data.text', unreadable: 'skip' },
    ],
    [
      'a template',
      { 'a.jsonl': records.filter((line) => line.length > 20).join('\n') },
      { field: '{data.n}: {data.text}' },
    ],
    ['conversations', { 'a.jsonl': chats.join('\n') }, {}],
  ])('has the documents that a copy has: %s', async (name, files, how) => {
    const folder = join(dataDir, name.slice(0, 9).replace(' ', '-') + imports)
    mkdirSync(folder)
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
    const copied = await bring(folder, how)
    const referred = await bring(folder, { ...how, reference: true })
    const { id: _, name: __, createdAt: ___, ...said } = copied
    expect(referred).toMatchObject(said)
    expect(referred.reference!.files.map(({ path }) => path)).toEqual(
      Object.keys(files).map((file) => join(folder, file)),
    )
    expect(existsSync(join(dataDir, 'library/corpora', referred.id, 'documents.jsonl'))).toBe(false)
    for (const split of [undefined, 'train'] as const)
      expect(await documents(referred, split)).toEqual(await documents(copied, split))
  })

  it('is of one domain where that alone is asked for, copied or not', async () => {
    const file = join(dataDir, 'domains.jsonl')
    const of = (i: number) => ({
      text: `${i}: ${words(200)}`,
      about: { source: i % 3 ? 'code' : 'prose', year: 2000 + (i % 2) },
    })
    const lines = Array.from({ length: 90 }, (_, i) => of(i))
    writeFileSync(file, [...lines.map((line) => JSON.stringify(line)), '{"text": 5}'].join('\n'))
    for (const [field, value, wanted] of [
      ['about.source', 'prose', (i: number) => i % 3 === 0],
      ['about.year', '2001', (i: number) => i % 2 === 1],
    ] as const) {
      const domain = { field, value }
      for (const reference of [false, true]) {
        const corpus = await bring(file, { domain, reference })
        expect(corpus.domain).toEqual(domain)
        expect(await documents(corpus)).toEqual(lines.filter((_, i) => wanted(i)).map(({ text }) => text))
      }
    }
    await expect(bring(file, { domain: { field: 'about.source', value: 'verse' } })).rejects.toThrow('empty')
  })

  it('is refused where the text has changed, or is gone', async () => {
    const file = join(dataDir, 'changing.txt')
    writeFileSync(file, Array.from({ length: 30 }, () => words(500)).join('\n\n'))
    const corpus = await bring(file, { reference: true })
    appendFileSync(file, 'more')
    expect(await documents(corpus)).toHaveLength(corpus.documents)
    writeFileSync(file, readFileSync(file, 'utf8').replace('word', 'Word'))
    await expect(documents(corpus)).rejects.toThrow('has changed since it was imported')
    rmSync(file)
    await expect(documents(corpus)).rejects.toThrow('has changed since it was imported')
  })

  it('is not of what cannot be read at any place', async () => {
    const packed = join(dataDir, 'a.txt.gz')
    writeFileSync(packed, gzipSync(plain))
    await expect(bring(packed, { reference: true })).rejects.toThrow('cannot stay where it is')
    const text = join(dataDir, 'one.txt')
    writeFileSync(text, 'one line of a few words\n'.repeat(300))
    await expect(bring(text, { reference: true })).rejects.toThrow('a text of one document')
    await expect(bring(text, { reference: true, duplicates: 'drop' })).rejects.toThrow(
      'no document can be dropped',
    )
    const table = join(dataDir, 'table.csv')
    writeFileSync(table, 'text,n\none,1\ntwo,2\nthree,3\n')
    await expect(bring(table, { reference: true })).rejects.toThrow('cannot stay where it is')
    expect(existsSync(join(dataDir, 'library/corpora', `c${imports}`))).toBe(false)
  })
})
