import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { importCorpus } from '../importCorpus'
import { previewCorpus } from '../previewCorpus'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(dataDir, { recursive: true, force: true })
})
const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name)

function write(name: string, content: string | Uint8Array): string {
  const file = join(dataDir, 'in', name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

interface Asked {
  field?: string
  unreadable?: 'stop' | 'skip'
  duplicates?: 'keep' | 'drop'
  nearDuplicates?: 'keep' | 'drop'
}
async function read(path: string, asked: Asked = {}) {
  const { field = 'text', unreadable = 'stop', duplicates = 'keep', nearDuplicates = 'keep' } = asked
  const job = { dataDir, threads: 0, id: 'c', name: 'c', kind: 'import-corpus' as const }
  const row = await importCorpus(
    { ...job, path, format: 'auto', field, unreadable, duplicates, nearDuplicates },
    () => {},
  )
  const lines = readFileSync(join(dataDir, 'library/corpora/c/documents.jsonl'), 'utf8').trim().split('\n')
  return { row, texts: lines.map((line) => (JSON.parse(line) as { text: string }).text) }
}
const lines = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('')

const TEXTS = ['First, "quoted"; with\ttab', 'Second line\nof two, Ελλάδα', 'Third 🙂 {braces} [brackets]']
const RECORDS = TEXTS.map((text, i) => ({ id: i, text }))
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`

describe('formats are found by what a file holds, whatever its name', () => {
  it.each([
    ['jsonl', lines(...RECORDS)],
    ['json', JSON.stringify(RECORDS)],
    ['json', JSON.stringify(RECORDS, null, 2)],
    ['json', RECORDS.map((record) => JSON.stringify(record, null, 2)).join('\n')],
    ['table', `id,text\r\n${RECORDS.map(({ id, text }) => `${id},${quoted(text)}\r\n`).join('')}`],
    ['table', `text;id\n${RECORDS.map(({ id, text }) => `${quoted(text)};${id}`).join('\n')}`],
  ])('%s', async (format, content) => {
    const { row, texts } = await read(write('data.bin', content))
    expect(row.format).toBe(format)
    expect(texts).toEqual(TEXTS)
  })

  it('TSV takes quotes as text, unless a whole cell stands between them', async () => {
    const { texts } = await read(write('a.tsv', 'text\tlabel\n"Hello," she said\t1\n"all ""of"" it"\t0\n'))
    expect(texts).toEqual(['"Hello," she said', 'all "of" it'])
  })

  it('prose with commas and braces stays prose', async () => {
    const { row } = await read(write('a.txt', 'Yes, no.\nYes, {maybe}.\n[1] A source.\n\nAnother, block.\n'))
    expect(row.format).toBe('text')
  })

  // What pyarrow wrote: 24 rows in groups of ten, the eighth without text.
  const ROWS = Array.from({ length: 24 }, (_, i) => `Document ${i}: naïve 日本 🙂`).filter((_, i) => i !== 7)
  it.each([
    'snappy.parquet',
    'gzip.parquet',
    'zstd.parquet',
    'brotli.parquet',
    'lz4.parquet',
    'stream.arrow',
  ])('%s', async (name) => {
    const { row, texts } = await read(fixture(name), { unreadable: 'skip' })
    expect(row).toMatchObject({ format: name.split('.')[1], documents: 23 })
    expect(row.unreadable).toMatchObject({ count: 1, of: 24 })
    expect(row.unreadable!.first[0]).toMatch(/row 8: it has no text in "text" \(there it has null\)/)
    expect(texts).toEqual(ROWS)
    const template = await read(fixture(name), { field: '{meta.title}/{n}\\n{text}', unreadable: 'skip' })
    expect(template.texts[22]).toBe('T23/23\nDocument 23: naïve 日本 🙂')
  })

  it('a folder of several formats, compressed or not, and patterns', async () => {
    write('a/one.jsonl', lines({ text: 'one' }))
    write('a/two.jsonl.gz', gzipSync(lines({ text: 'two' })))
    // "three" in a frame of Zstandard, raw block, written by hand from RFC 8878.
    const raw = Buffer.from('three\n\nand more words\n')
    const block = Buffer.from([(raw.length << 3) | 1, 0, 0])
    write(
      'b/three.txt.zst',
      Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, raw.length]), block, raw]),
    )
    write('b/four.zip', zip({ 'x/four.jsonl': lines({ text: 'four' }), 'five.csv': 'text,n\nfive,5\n' }))
    write('b/ignored.png', 'no text')
    const folder = await read(join(dataDir, 'in'))
    expect(folder.texts).toEqual(['one', 'two', 'four', 'five', 'three\n\nand more words'])
    expect(folder.row.format).toBe('mixed')
    expect((await read(join(dataDir, 'in/**/*.{jsonl,zip}'))).texts).toEqual(['one', 'four', 'five'])
    expect((await read(join(dataDir, 'in/?/t*'))).texts).toEqual(['two', 'three\n\nand more words'])
    await expect(read(join(dataDir, 'in/*.none'))).rejects.toThrow(/\*\.none: no file matches/)
  })
})

describe('fields', () => {
  const file = () =>
    write('a.jsonl', lines(...[1, 2].map((n) => ({ data: { title: `T${n}`, turns: [{ say: 'a' }] }, n }))))

  it('are named, reached by a path, or put into a template', async () => {
    expect((await read(file(), { field: 'data.title' })).texts).toEqual(['T1', 'T2'])
    expect((await read(file(), { field: '{data.turns.0.say} {{{n}}}\\n' })).texts).toEqual([
      'a {1}\n',
      'a {2}\n',
    ])
    await expect(read(file(), { field: '{data.title' })).rejects.toThrow(/without its counterpart/)
    await expect(read(file(), { field: 'data.__proto__' })).rejects.toThrow(
      /a\.jsonl:1: .*the path leads nowhere/,
    )
  })

  it('of a table that has no such column are named with what there is', async () => {
    for (const name of ['zstd.parquet', 'stream.arrow'])
      await expect(read(fixture(name), { field: 'body' })).rejects.toThrow(
        /no column "body"; expected one of n, text, meta/,
      )
  })
})

it('documents that are nearly as an earlier one are counted, and dropped by choice', async () => {
  const long = Array.from({ length: 200 }, (_, i) => `word${i}`)
  const texts = [long.join(' '), [...long.slice(0, 199), 'other'].join(' '), ...TEXTS]
  const file = write('near.jsonl', lines(...texts.map((text) => ({ text }))))
  expect((await read(file)).row).toMatchObject({ documents: 5, nearDuplicates: { count: 1, dropped: false } })
  const dropped = await read(file, { nearDuplicates: 'drop' })
  expect(dropped.texts).toEqual([texts[0], ...TEXTS])
  expect(dropped.row).toMatchObject({ nearDuplicates: { count: 1, dropped: true } })
  expect(dropped.row.duplicates).toBeUndefined()
})

it('documents that were there before are counted, and dropped by choice', async () => {
  const twice = [...TEXTS, TEXTS[0], `${TEXTS[1]} `, TEXTS[0]]
  const file = write('a.jsonl', lines(...twice.map((text) => ({ text }))))
  const kept = await read(file)
  expect(kept.row).toMatchObject({ documents: 6, duplicates: { count: 2, dropped: false } })
  const { row, texts } = await read(file, { duplicates: 'drop' })
  expect(texts).toEqual([...TEXTS, `${TEXTS[1]} `])
  expect(row).toMatchObject({ documents: 4, duplicates: { count: 2, dropped: true } })
  expect((await read(write('b.jsonl', lines(...RECORDS)))).row.duplicates).toBeUndefined()
})

describe('records that cannot be read', () => {
  const bad = [
    ...Array.from({ length: 12 }, () => 'no json'),
    ...TEXTS.map((text) => JSON.stringify({ text })),
  ]

  it('stop the import, or are counted with the first ten', async () => {
    const file = write('a.jsonl', bad.join('\n'))
    await expect(read(file)).rejects.toThrow(/a\.jsonl:1: text: the record cannot be read: it is not JSON/)
    const { row, texts } = await read(file, { unreadable: 'skip' })
    expect(texts).toEqual(TEXTS)
    expect(row.unreadable).toMatchObject({ count: 12, of: 15 })
    expect(row.unreadable!.first).toHaveLength(10)
  })

  it('rows of a table with other cells than its header are such', async () => {
    const file = write('a.csv', 'id,text\n1,a\n2,b,c\n3,d\n')
    expect((await read(file, { unreadable: 'skip' })).row.unreadable!.first).toEqual([
      `${file}:3: it has 3 cells where the header has 2`,
    ])
    await expect(read(write('b.csv', 'id,text\n1,a\n2,"b\n3,c\n'))).rejects.toThrow(/b\.csv:3: a quote opens/)
  })
})

describe('what announces more than there is, or was made to fill memory or disk, is refused', () => {
  it('cut JSON, Parquet, Arrow, archives', async () => {
    const json = JSON.stringify(RECORDS)
    await expect(read(write('a.json', json.slice(0, -1)))).rejects.toThrow(/a\.json: .*cut off/)
    for (const name of ['zstd.parquet', 'stream.arrow']) {
      const whole = readFileSync(fixture(name))
      for (const part of [0.3, 0.6, 0.9]) {
        const cut = write(`${part}-${name}`, whole.subarray(0, whole.length * part))
        await expect(read(cut, { unreadable: 'skip' })).rejects.toThrow(/cannot be read/)
      }
    }
    const archive = zip({ 'a.jsonl': lines(...RECORDS) })
    await expect(read(write('cut.zip', archive.subarray(0, -4)))).rejects.toThrow(/cut\.zip: .*no directory/)
    const lying = Buffer.from(archive)
    lying.writeUInt32LE(5, lying.lastIndexOf('PK\x01\x02') + 24)
    await expect(read(write('lying.zip', lying))).rejects.toThrow(/a\.jsonl: .*more than 5 bytes/)
  })

  it('a .gz and a .zip that grow a thousandfold', async () => {
    const zeros = Buffer.alloc(80 << 20, 'a')
    zeros.write('{"text":"')
    await expect(read(write('bomb.jsonl.gz', gzipSync(zeros)))).rejects.toThrow(
      /bomb\.jsonl\.gz: .*grows more than/,
    )
    await expect(read(write('bomb.zip', zip({ 'b.jsonl': zeros })))).rejects.toThrow(
      /b\.jsonl: .*grows more than/,
    )
  })

  it('a frame of Zstandard with a window of a gigabyte', async () => {
    const frame = Buffer.alloc(32)
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3]).copy(frame)
    await expect(read(write('w.zst', frame))).rejects.toThrow(/w\.zst: .*window of 1073741824 bytes/)
  })

  it('an Arrow schema of two thousand million fields', async () => {
    const bytes = Buffer.from(readFileSync(fixture('stream.arrow')))
    // The length of the schema's list of fields: three.
    expect(bytes.readInt32LE(0x34)).toBe(3)
    bytes.writeInt32LE(0x7fffffff, 0x34)
    await expect(read(write('fields.arrow', bytes))).rejects.toThrow(
      /fields\.arrow: the Arrow data cannot be read/,
    )
  })

  it('a Parquet page that announces more values than its column', async () => {
    const bytes = readFileSync(fixture('snappy.parquet'))
    // num_rows of the first group (10) in the footer: the zigzag varint 20 becomes 22 in every place that holds it.
    const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)
    const changed = Buffer.from(bytes)
    for (let at = footer; at < bytes.length - 8; at++) if (changed[at] === 20) changed[at] = 22
    await expect(read(write('more.parquet', changed), { unreadable: 'skip' })).rejects.toThrow(
      /cannot be read/,
    )
  })
})

describe('a preview', () => {
  const look = (path: string, field = 'text') =>
    previewCorpus({
      ...{ dataDir, threads: 0, kind: 'preview-corpus', path, field, format: 'auto' },
      ...{ unreadable: 'stop', duplicates: 'keep', nearDuplicates: 'keep', tokenizers: [] },
    })

  it('shows fields, documents and what cannot be read, and goes on with a wrong field', async () => {
    expect(await look(fixture('zstd.parquet'))).toMatchObject({
      files: 1,
      formats: ['parquet'],
      fields: [
        { name: 'n', kind: 'a number', example: '0' },
        { name: 'text', kind: 'text', example: 'Document 0: naïve 日本 🙂' },
        { name: 'meta', kind: 'an object', example: '{"title":"T0"}' },
      ],
      looked: { documents: 23 },
      unreadable: { count: 1, of: 24 },
    })
    const wrong = await look(write('a.jsonl', lines({ body: 'a' }, { body: 'b' })))
    expect(wrong).toMatchObject({
      documents: [],
      fields: [{ name: 'body' }],
      unreadable: { count: 2, of: 2 },
    })
  })
})

/** An archive of deflated files, as PKWARE's APPNOTE says. */
function zip(files: Record<string, string | Uint8Array>): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, content] of Object.entries(files)) {
    const packed = deflateRawSync(content)
    const size = Buffer.byteLength(content)
    const sizes = Buffer.alloc(12)
    sizes.writeUInt32LE(packed.length, 4)
    sizes.writeUInt32LE(size, 8)
    const lengths = Buffer.from([name.length, 0, 0, 0])
    const common = Buffer.concat([Buffer.from([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]), sizes, lengths])
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed])
    const at = Buffer.alloc(14)
    at.writeUInt32LE(offset, 10)
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), common, at, Buffer.from(name)]),
    )
    parts.push(local)
    offset += local.length
  }
  const listed = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(directory.length, 8)
  end.writeUInt16LE(directory.length, 10)
  end.writeUInt32LE(listed.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, listed, end])
}
