import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { alignTokens, type SpanTable, type TokenStream } from './alignment'
import { createByteBpe } from './byteBpe'
import { createLlama2cTokenizer, readLlama2cPieces } from './llama2cTokenizer'
import { emptyAlignedBatch, fillRow, partOf, windowTime } from './spanWindow'
import { openTokenizer } from './tokenizer'
import type { TextTokenizer } from './textTokenizer'
import { countWords, learnMerges } from './trainTokenizer'

const shared = resolve(import.meta.dirname, '../../../../shared/data')
const hasShared = existsSync(join(shared, 'c4'))
if (!hasShared) console.warn('SKIPPED: alignment on real text needs ../shared/data')

function bpe(texts: readonly string[], vocab: number): TextTokenizer {
  const counts = new Map<string, number>()
  for (const text of texts) countWords(text, counts)
  return createByteBpe(learnMerges(counts, vocab), 'test')
}

function streamOf(tokenizer: TextTokenizer, texts: readonly string[], name = 'test'): TokenStream {
  const ids = texts.flatMap((text) => [tokenizer.bos, ...tokenizer.encode(text)])
  return { name, ids: Int32Array.from(ids), tokenizer }
}

const bytesOf = ({ ids, tokenizer }: TokenStream, from: number, to: number) =>
  Buffer.concat(Array.from(ids.subarray(from, to), (id) => tokenizer.piece(id)))

/** Every span covers the same bytes on both sides, but for one space before a document; no token is left out. */
function expectPartition(spans: SpanTable, a: TokenStream, b: TokenStream, texts: readonly string[]): void {
  let [i, j] = [0, 0]
  const covered: Buffer[] = []
  for (const [s, end] of spans.student.entries()) {
    const [one, other] = [bytesOf(a, i, end), bytesOf(b, j, spans.teacher[s]!)]
    expect(end).toBeGreaterThan(i)
    expect(spans.teacher[s]!).toBeGreaterThan(j)
    const shorter = one.length < other.length ? one : other
    const longer = one.length < other.length ? other : one
    if (!one.equals(other)) {
      // Only the first span after a BOS may differ, by the space.
      expect([a.ids[i - 1], b.ids[j - 1]]).toEqual([a.tokenizer.bos, b.tokenizer.bos])
      expect(longer.toString('latin1')).toBe(` ${shorter.toString('latin1')}`)
    }
    covered.push(shorter)
    ;[i, j] = [end, spans.teacher[s]!]
  }
  expect([i, j]).toEqual([a.ids.length, b.ids.length])
  expect(Buffer.concat(covered).toString('utf8')).toBe(texts.join(''))
}

const strange = [
  'Grüße, Ελλάδα, Москва, 日本語',
  ' begins with a space',
  '  with two',
  '🙂👩‍🔬 and \u0000\u0007 control, \r\n line ends\t',
  '',
  'x',
  'the theme of them all, then and there',
]
const made = bpe(['the theme of them all, then and there the then them', 'Grüße Grüße 日本語 日本語'], 290)
const bytes = bpe([''], 257)

describe('aligned spans', () => {
  it('are the bytes where both tokenizers have a boundary', () => {
    const text = 'the then'
    const [a, b] = [streamOf(bytes, [text]), streamOf(made, [text])]
    const spans = alignTokens(a, b, 'test')
    // A byte a token on one side: every boundary of the other side is common.
    expect(Array.from(spans.teacher)).toEqual(Array.from(b.ids, (_, i) => i + 1))
    const ends: number[] = []
    for (const id of b.ids) ends.push((ends.at(-1) ?? 1) + b.tokenizer.piece(id).length)
    expect(Array.from(spans.student)).toEqual(ends)
  })

  it('cover all bytes of any text, the same on both sides', () => {
    const [a, b] = [streamOf(made, strange), streamOf(bytes, strange)]
    expectPartition(alignTokens(a, b, 'test'), a, b, strange)
    expectPartition(alignTokens(b, a, 'test'), b, a, strange)
  })

  it('refuse a text that is not the same in both, and name it', () => {
    const lossy: TextTokenizer = {
      ...made,
      encode: (text) => made.encode(text.replaceAll('ü', 'u')),
    }
    const texts = ['all is well', 'Grüße']
    expect(() =>
      alignTokens(streamOf(bytes, texts, 'own'), streamOf(lossy, texts, 'lossy'), 'letters'),
    ).toThrow(
      /teachers: the text of corpus "letters", document 2 is not the same in tokenizers "own" and "lossy"/,
    )
    const fewer = streamOf(made, texts.slice(0, 1))
    expect(() => alignTokens(streamOf(bytes, texts), fewer, 'letters')).toThrow(/is not the same/)
  })

  describe.skipIf(!hasShared)('on real text', () => {
    const c4 = () =>
      gunzipSync(readFileSync(join(shared, 'c4/c4-sample.json.gz')))
        .toString('utf8')
        .split('\n')
        .slice(0, 40)
        .map((line) => (JSON.parse(line) as { text: string }).text)
    const plays = () =>
      readFileSync(join(shared, 'tinyshakespeare/input.txt'), 'utf8').slice(0, 60_000).split('\n\n')
    const stories = () => {
      const file = join(shared, 'stories260k/tok512.bin')
      return createLlama2cTokenizer(readLlama2cPieces(readFileSync(file), file))
    }

    it('agree with the ends of decoded beginnings, compared as sets', () => {
      const texts = plays()
        .slice(0, 30)
        .filter((text) => text.length < 600)
      const tokenizers = [stories(), bpe(plays(), 600)] as const
      const [a, b] = tokenizers.map((tokenizer) => streamOf(tokenizer, texts)) as [TokenStream, TokenStream]
      const spans = alignTokens(a, b, 'plays')
      let expected = 0
      for (const text of texts) {
        const [one, other] = tokenizers.map((tokenizer) => {
          const ids = tokenizer.encode(text)
          return new Set(
            Array.from(ids, (_, n) => Buffer.byteLength(tokenizer.decode(ids.subarray(0, n + 1)))),
          )
        })
        expected += 1 + [...one!].filter((end) => end > 0 && other!.has(end)).length
      }
      expect(spans.student.length).toBe(expected)
      expect(expected).toBeGreaterThan(500)
    })

    it('cover all bytes of web pages and plays', () => {
      for (const texts of [c4(), plays()]) {
        const [a, b] = [streamOf(stories(), texts), streamOf(bpe(texts, 1000), texts)]
        expectPartition(alignTokens(a, b, 'text'), a, b, texts)
        expectPartition(alignTokens(b, a, 'text'), b, a, texts)
      }
    })

    it('refuse a tokenizer that loses spaces', () => {
      const file = join(shared, 'tokenizers/torchtitan-test.tokenizer.json')
      const texts = ['two words']
      const lossy = streamOf(openTokenizer(file, 'huggingface'), texts, 'titan')
      expect(() => alignTokens(streamOf(stories(), texts), lossy, 'plays')).toThrow(
        /tokenizers that keep every byte/,
      )
    })
  })
})

describe('windows of aligned text', () => {
  const random = createRandom(5, 'text')
  const words = ['the ', 'theme', ' of', ' them', ' all', ', ', 'then', ' Grüße', ' x']
  const texts = Array.from({ length: 12 }, () =>
    Array.from({ length: 30 }, () => words[random.integer(words.length)]).join(''),
  )
  const [a, b] = [streamOf(made, texts), streamOf(bytes, texts)]
  const shape = { context: 12, time: 40 }

  for (const [title, student, teacher, time] of [
    ['a teacher of smaller tokens', a, b, 40],
    ['a teacher of smaller tokens that does not fit', a, b, 16],
    ['a teacher of larger tokens', b, a, 12],
  ] as const) {
    it(`compare the same text: ${title}`, () => {
      const spans = alignTokens(student, teacher, 'test')
      const text = { spans, teacher: teacher.ids }
      const sizes = { context: 12, time }
      const starts = Array.from({ length: 50 }, () => random.integer(student.ids.length - 13))
      const batch = emptyAlignedBatch(starts.length, sizes)
      for (const [row, start] of starts.entries()) fillRow(batch, row, text, start, sizes)
      let compared = 0
      for (const [row, start] of starts.entries()) {
        const targets = student.ids.subarray(start + 1, start + 13)
        for (let place = 0; place < 12; place++) {
          if (!batch.begins[row * 12 + place]) continue
          const own = [...targets].filter((_, i) => batch.spans[row * 12 + i] === place)
          const at = [...Array(time).keys()].filter((j) => batch.teacherSpans[row * time + j] === place)
          const its = at.map((j) => batch.targets[row * time + j]!)
          const say = ({ tokenizer }: TokenStream, ids: number[]) =>
            Buffer.concat(ids.map((id) => tokenizer.piece(id))).toString('latin1')
          expect(say(student, own)).toBe(say(teacher, its))
          expect(own.length && its.length).toBeGreaterThan(0)
          // The teacher's place before the span has read just what is before the span's text.
          expect(batch.at[row * 12 + place]).toBe(at[0])
          compared++
        }
        // What a place predicts is what the next one reads.
        const inputs = batch.inputs.subarray(row * time, (row + 1) * time)
        expect([...inputs.subarray(1)]).toEqual([...batch.targets.subarray(row * time, (row + 1) * time - 1)])
      }
      expect(compared).toBeGreaterThan(50)
    })
  }

  it('are long enough for nearly all, and no longer than the teacher can read', () => {
    const text = { spans: alignTokens(a, b, 'test'), teacher: b.ids }
    const time = windowTime([text], 12, 1000)
    expect(time % 8).toBe(0)
    let whole = 0
    const starts = a.ids.length - 13
    for (let start = 0; start < starts; start++) {
      const [enough, endless] = [time, 200].map((t) => {
        const batch = emptyAlignedBatch(1, { context: 12, time: t })
        fillRow(batch, 0, text, start, { context: 12, time: t })
        return batch.begins.reduce((x, y) => x + y, 0)
      })
      whole += Number(enough === endless)
    }
    expect(whole / starts).toBeGreaterThan(0.97)
    expect(windowTime([text], 12, 16)).toBe(16)
  })

  it('are cut into equal parts that count as in the whole', () => {
    const text = { spans: alignTokens(a, b, 'test'), teacher: b.ids }
    const batch = emptyAlignedBatch(4, shape)
    for (const row of [0, 1, 2, 3]) fillRow(batch, row, text, 20 * row, shape)
    const half = partOf({ ...batch, scale: 3 }, 1, 2)
    const own = emptyAlignedBatch(2, shape)
    for (const row of [0, 1]) fillRow(own, row, text, 40 + 20 * row, shape)
    expect(half).toEqual({ ...own, scale: 3 })
  })
})
