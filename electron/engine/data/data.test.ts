import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { createBatchPlan } from './batchPlan'
import { splitByPlace } from './split'
import { deriveDocument, domains, generateCorpus } from './grammar'
import { importCorpus } from './importCorpus'
import { importTokenizer } from './importTokenizer'
import { createLlama2cTokenizer, readLlama2cPieces } from './llama2cTokenizer'
import { openTokens } from './tokenFile'
import { loadTokenizer } from './tokenizer'
import { trainTokenizer } from './trainTokenizer'

const shared = resolve(import.meta.dirname, '../../../../shared/data')
const hasShared = existsSync(join(shared, 'c4'))
if (!hasShared) console.warn('SKIPPED: tests on real text need ../shared/data')

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(dataDir, { recursive: true, force: true })
})
const quiet = () => {}
const base = () => ({ dataDir, threads: 0 })

async function kitchen(bytes = 40_000) {
  const job = {
    ...base(),
    kind: 'generate-corpus' as const,
    id: 'kitchen',
    name: 'kitchen',
    domain: 'kitchen',
    bytes,
    seed: 1,
  }
  return generateCorpus(job, quiet)
}
async function bpe(vocab = 300) {
  const corpora = [await kitchen()]
  return trainTokenizer({ ...base(), kind: 'train-tokenizer', id: 'bpe', name: 'bpe', corpora, vocab }, quiet)
}

const strange = [
  '',
  ' ',
  'Grüße, Ελλάδα, Москва, 日本語',
  '🙂👩‍🔬 and \u0000\u0007 control, \r\n line ends\t',
  '  many   spaces  \n\n\n',
  "it's we'll 12:30 x=1e-5; <|endoftext|>",
  '\u{10ffff}\ufffd',
]

describe('byte-level BPE', () => {
  it('gives back any text, also what it was not trained on', async () => {
    const tokenizer = await loadTokenizer(dataDir, await bpe())
    const random = createRandom(3, 'text')
    const points = Array.from({ length: 400 }, () => random.integer(0xd7ff))
    for (const text of [...strange, String.fromCodePoint(...points)]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    }
  })

  it('fills its vocabulary, shortens its own kind of text, and is the same every time', async () => {
    const first = await bpe()
    const again = await bpe()
    expect(first.vocab).toBe(300)
    expect(again.digest).toBe(first.digest)
    const tokenizer = await loadTokenizer(dataDir, first)
    const text = 'Add the onion to the pan and simmer for ten minutes.'
    expect(tokenizer.encode(text).length).toBeLessThan(text.length * 0.75)
  })
})

describe.skipIf(!hasShared)('tokenizers of others', () => {
  it('llama2.c: falls back to bytes, so that any text survives', () => {
    const file = join(shared, 'stories260k/tok512.bin')
    const tokenizer = createLlama2cTokenizer(readLlama2cPieces(readFileSync(file), file))
    expect(tokenizer.vocab).toBe(512)
    for (const text of strange) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    expect(() => readLlama2cPieces(readFileSync(file).subarray(0, 900), 'cut.bin')).toThrow(/cut\.bin/)
  })

  it('is found in its folder', async () => {
    const path = join(shared, 'tokenizers/gpt-neox-dolma')
    const row = await importTokenizer({ ...base(), kind: 'import-tokenizer', id: 'neox', name: 'neox', path })
    expect(row).toMatchObject({ kind: 'huggingface', vocab: 50280, lossless: true })
  })

  it('a lossy tokenizer.json is noticed at import', async () => {
    const path = join(shared, 'tokenizers/torchtitan-test.tokenizer.json')
    const row = await importTokenizer({
      ...base(),
      kind: 'import-tokenizer',
      id: 'lossy',
      name: 'lossy',
      path,
    })
    expect(row).toMatchObject({ kind: 'huggingface', lossless: false })
  })
})

describe('the grammar', () => {
  it.each(domains.map(({ name }) => name))(
    '%s: the floor is the mean code length of fresh text',
    async (name) => {
      const domain = domains.find((d) => d.name === name)!
      const rate = (seed: number) => {
        const random = createRandom(seed, 'probe')
        let [bits, bytes] = [0, 0]
        while (bytes < 60_000) {
          const document = deriveDocument(domain, random)
          bits += document.bits
          bytes += Buffer.byteLength(document.text)
        }
        return bits / bytes
      }
      const [one, two] = [rate(1), rate(2)]
      expect(one).toBeGreaterThan(0.1)
      expect(Math.abs(one - two) / one).toBeLessThan(0.05)
    },
  )

  it('is written by its seed', async () => {
    const first = await kitchen()
    const again = await kitchen()
    expect(again.digest).toBe(first.digest)
    expect(first.entropyFloor).toBeGreaterThan(0.1)
  })
})

describe('corpora', () => {
  const importFile = (path: string, field = 'text') =>
    importCorpus(
      {
        ...base(),
        kind: 'import-corpus',
        id: 'c',
        name: 'c',
        path,
        format: 'auto',
        field,
        unreadable: 'stop',
        duplicates: 'keep',
        nearDuplicates: 'keep',
      },
      quiet,
    )

  it('of earlier versions hold out every twentieth document, and calibrate on another', () => {
    const splits = Array.from({ length: 40 }, (_, i) => splitByPlace(i))
    expect(splits.filter((s) => s === 'held-out')).toHaveLength(2)
    expect(splits.filter((s) => s === 'calibration')).toHaveLength(2)
  })

  it('keep JSON lines as they are, whichever field holds the text', async () => {
    const file = join(dataDir, 'a.jsonl')
    writeFileSync(
      file,
      strange
        .filter((t) => t.trim())
        .map((body) => `${JSON.stringify({ body })}\n`)
        .join(''),
    )
    const row = await importFile(file, 'body')
    expect(row.documents).toBe(strange.filter((t) => t.trim()).length)
    const stored = readFileSync(join(dataDir, 'library/corpora/c/documents.jsonl'), 'utf8').trim().split('\n')
    expect(stored.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(
      strange.filter((t) => t.trim()),
    )
  })

  it('text without line ends or blank lines is cut at blanks, all of it kept', async () => {
    const words = Array.from({ length: 60_000 }, (_, i) => `word${i % 97}`)
    for (const sign of [' ', '\n']) {
      const file = join(dataDir, 'text8.txt')
      writeFileSync(file, words.join(sign))
      const { documents } = await importFile(file)
      const stored = readFileSync(join(dataDir, 'library/corpora/c/documents.jsonl'), 'utf8')
        .trim()
        .split('\n')
      expect(stored).toHaveLength(documents)
      expect(documents).toBeGreaterThan(15)
      const texts = stored.map((line) => (JSON.parse(line) as { text: string }).text)
      expect(texts.join(sign).split(sign)).toEqual(words)
    }
  })

  it('a single document is cut at the ends of its lines, all of it kept', async () => {
    const file = join(dataDir, 'lines.txt')
    for (const count of [2, 9, 400]) {
      const text = Array.from({ length: count }, (_, i) => `This is line ${i}.`).join('\n')
      writeFileSync(file, text)
      const { documents, heldOutDocuments } = await importFile(file)
      expect(documents).toBe({ 2: 2, 9: 2, 400: 4 }[count])
      expect(heldOutDocuments).toBeLessThan(documents)
      const stored = readFileSync(join(dataDir, 'library/corpora/c/documents.jsonl'), 'utf8')
      const texts = stored
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { text: string }).text)
      expect(texts.join('')).toBe(text)
    }
  })

  it('one document, of which nothing is left to train on, is refused and leaves nothing', async () => {
    const file = join(dataDir, 'short.txt')
    writeFileSync(file, 'A short text.')
    await expect(importFile(file)).rejects.toThrow(
      /short\.txt: .*nothing is left to train on; expected at least two/,
    )
    expect(readdirSync(join(dataDir, 'library/corpora'))).toEqual([])
  })

  it('leave nothing behind when a file is bad', async () => {
    const file = join(dataDir, 'bad.txt')
    writeFileSync(file, Buffer.concat([Buffer.from('good text\n'.repeat(1000)), Buffer.from([0xff, 0xfe])]))
    await expect(importFile(file)).rejects.toThrow(/bad\.txt: the text is not UTF-8/)
    expect(readdirSync(join(dataDir, 'library/corpora'))).toEqual([])
  })

  it.skipIf(!hasShared)('read a real C4 shard', async () => {
    const row = await importFile(join(shared, 'c4/c4-sample.json.gz'))
    expect(row).toMatchObject({ format: 'jsonl', documents: 1000 })
    const stored = readFileSync(join(dataDir, 'library/corpora/c/documents.jsonl'), 'utf8').trim()
    const texts = stored.split('\n').map((line) => (JSON.parse(line) as { text: string }).text)
    const first = (text: string) => createHash('sha256').update(text).digest().readUInt32BE()
    expect(row.heldOutDocuments).toBe(texts.filter((text) => first(text) < 2 ** 32 / 20).length)
    expect(row.heldOutDocuments).toBeGreaterThan(25)
  })
})

describe('token files', () => {
  it('hold every document of the split behind a BOS, and are made anew when they are damaged', async () => {
    const row = await bpe()
    const corpus = await kitchen()
    const tokenizer = await loadTokenizer(dataDir, row)
    const made = await openTokens(dataDir, corpus, row, 'held-out')
    expect(made.documents).toBe(corpus.heldOutDocuments)
    const ids = made.ids.subarray(0, made.ids.length)
    expect(ids.filter((id) => id === tokenizer.bos)).toHaveLength(corpus.heldOutDocuments)
    expect(made.ids.subarray(3, 40)).toEqual(ids.subarray(3, 40))
    const bytes = readFileSync(made.path)
    for (const damage of [
      bytes.subarray(0, bytes.length - 4),
      Buffer.from(bytes).fill(1, 200, 204),
      Buffer.alloc(3),
    ]) {
      writeFileSync(made.path, damage)
      const again = await openTokens(dataDir, corpus, row, 'held-out')
      expect(again.ids.subarray(0, again.ids.length)).toEqual(ids)
      expect(readFileSync(made.path)).toEqual(bytes)
    }
  })
})

describe('the batch plan', () => {
  const ids = Int32Array.from({ length: 500 }, (_, i) => i)
  const other = Int32Array.from({ length: 500 }, (_, i) => 1000 + i)
  const sources = [
    { name: 'a', tokens: { ids }, weight: 3 },
    { name: 'b', tokens: { ids: other }, weight: 1 },
  ]
  const plan = (seed: number) => createBatchPlan({ seed, batch: 8, context: 10, sources })

  it('is a pure function of seed and step: any step, in any order', () => {
    const [forwards, backwards] = [plan(1), plan(1)]
    const steps = [1, 2, 3, 50]
    const expected = steps.map((step) => forwards.at(step))
    expect(
      [...steps]
        .reverse()
        .map((step) => backwards.at(step))
        .reverse(),
    ).toEqual(expected)
    expect(plan(2).at(1)).not.toEqual(plan(1).at(1))
  })

  it('predicts the next token, and draws the corpora by weight', () => {
    let drawn = 0
    for (let step = 1; step <= 200; step++) {
      const { inputs, targets, corpora } = plan(1).at(step)
      expect(targets.map((t, i) => t - inputs[i]!).every((d) => d === 1)).toBe(true)
      drawn += corpora.filter((c) => c === 0).length
    }
    // 1600 draws of probability 0.75: five standard deviations are 87.
    expect(Math.abs(drawn - 1200)).toBeLessThan(87)
  })

  it('refuses a corpus shorter than one context', () => {
    const short = [{ name: 'short', tokens: { ids: ids.slice(0, 10) }, weight: 1 }]
    expect(() => createBatchPlan({ seed: 1, batch: 1, context: 10, sources: short })).toThrow(
      'corpus: the training split of corpus "short" has 10 tokens; expected more than one context of 10 tokens',
    )
  })
})
