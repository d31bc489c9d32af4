import { beforeAll, describe, expect, it } from 'vitest'
import { EXCERPT_TOKENS, type Prediction, type RunConfig, EMBEDDING } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/forward'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import { model, runConfig, teacherSource } from '../train/testing'
import { excerptShape, readDocument, type Excerpts, type Reader } from './disagreement'
import { pieceReader, textOfEach } from './pieces'

const BOS = 0
/** A letter a token. */
const letters = 'abcdefghijklmnopqrstuvwxyz'
const tokenizer = {
  vocab: model.vocab,
  bos: BOS,
  ends: [BOS],
  encode: (text: string) => Int32Array.from(text, (letter) => letters.indexOf(letter)),
  decode: (ids: ArrayLike<number>) => Array.from(ids, (id) => letters[id]).join(''),
  piece: (id: number) => Buffer.from(letters[id] ?? ''),
  special: () => undefined,
}

/** Documents of 5, 300 and 40 tokens, BOS before each. */
function text(): Int32Array {
  const random = createRandom(7, 'text')
  const document = (length: number) => [
    BOS,
    ...Array.from({ length }, () => 1 + random.integer(model.vocab - 1)),
  ]
  return Int32Array.from([5, 300, 40].flatMap(document))
}

/** The same read on from one document to the next. */
function excerpts(): Excerpts & { ids: Int32Array } {
  return { ids: text(), documents: Int32Array.of(0, 6, 6, 307, 307, 348), apart: false }
}

function reader(config: RunConfig): Reader & { logits: ((ids: number[]) => Promise<number[][]>)[] } {
  const weights = initialise(model, 5)
  // Fresh weights say nearly the same of every token.
  for (const [i, value] of weights.get(EMBEDDING)!.data.entries())
    weights.get(EMBEDDING)!.data[i] = value * 20
  const parameters = toTensors(weights)
  const { context } = config.experiment.train
  const tables = createTables(model, context)
  const student = (tokens: tf.Tensor2D) => forward(model, parameters, tokens, tables).logits
  const teachers = config.teachers.map((_, k) => teacherSource(config, k, 100 + k, 30))
  const ask = (say: (tokens: tf.Tensor2D) => tf.Tensor2D) => (ids: number[]) =>
    tf.tidy(() => say(tf.tensor2d([ids], [1, ids.length], 'int32'))).array()
  const logits = [...teachers.map(({ signal }) => ask((tokens) => signal(tokens).logits)), ask(student)]
  return { config, student, teachers, tokenizer, corpus: 'text', logits }
}

const softmax = (z: number[], tau: number) => {
  const e = z.map((x) => Math.exp(x / tau))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}
const entropy = (p: number[]) => -p.reduce((sum, x) => sum + (x ? x * Math.log(x) : 0), 0)

function expectPrediction(said: Prediction, p: number[], truth: number): void {
  const best = [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, 5)
  expect(said.top.map(([id]) => id)).toEqual(best)
  for (const [id, probability] of said.top) expect(probability).toBeCloseTo(p[id]!, 4)
  expect(said.truth).toBeCloseTo(p[truth]!, 4)
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe('what teachers say of held-out text', () => {
  it('is what float64 arithmetic makes of their logits, token by token, at the run’s tau', async () => {
    const tau = 1.5
    const config = runConfig({ weighting: { strategy: 'entropy', temperature: 0.7 }, loss: { tau } }, 3)
    const own = reader(config)
    const ids = text()
    const start = 6
    const { tokens, cut, pieces } = await readDocument(own, excerpts(), 1)
    expect(tokens).toHaveLength(EXCERPT_TOKENS)
    expect(cut).toBe(true)
    const { stride, context } = excerptShape(config)
    for (const t of [0, 3, 7, 8, 100, 255]) {
      // The window that scores the token: the first that reaches it.
      const window = Math.max(0, Math.ceil((t + 1 - context) / stride))
      const from = start + window * stride
      const at = t - window * stride
      const input = Array.from(ids.subarray(from, from + context))
      const logits = await Promise.all(own.logits.map((ask) => ask(input)))
      const said = logits.map((rows) => softmax(rows[at]!, tau))
      const teachers = said.slice(0, 3)
      const truth = ids[start + 1 + t]!
      const unscaled = teachers.map((p) => Math.exp(-entropy(p) / 0.7))
      const sum = unscaled.reduce((a, b) => a + b)
      const alpha = unscaled.map((x) => x / sum)
      const fused = teachers[0]!.map((_, v) => teachers.reduce((s, p, k) => s + alpha[k]! * p[v]!, 0))
      const apart = entropy(fused) - teachers.reduce((s, p, k) => s + alpha[k]! * entropy(p), 0)

      const token = tokens[t]!
      expect(token.id).toBe(truth)
      expect(token.disagreement).toBeCloseTo(apart, 4)
      for (const [k, a] of alpha.entries()) expect(token.alpha[k]).toBeCloseTo(a, 4)
      for (const [k, p] of teachers.entries()) expectPrediction(token.teachers[k]!, p, truth)
      expectPrediction(token.target, fused, truth)
      expectPrediction(token.student, said[3]!, truth)
      for (const [id] of token.student.top) expect(pieces[id]).toBe(id === BOS ? '⟨end⟩' : letters[id])
    }
    const apart = tokens.map(({ disagreement }) => disagreement)
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...apart)).toBeLessThanOrEqual(Math.log(3))
    expect(Math.max(...apart)).toBeGreaterThan(0.3)
  })

  it('ends with the document: what fills the windows up is not shown', async () => {
    const own = reader(runConfig())
    const ids = text()
    const first = await readDocument(own, excerpts(), 0)
    expect(first).toMatchObject({ document: 0, cut: false })
    expect(first.tokens.map(({ id }) => id)).toEqual(Array.from(ids.subarray(1, 6)))
    const last = await readDocument(own, excerpts(), 2)
    expect(last.tokens.map(({ id }) => id)).toEqual(Array.from(ids.subarray(-40)))
    await expect(readDocument(own, excerpts(), 3)).rejects.toThrow('no document 4')
  })

  it('of a masked text says what does not count, and weighs teachers by sequence without it', async () => {
    const config = runConfig({ weighting: { strategy: 'entropy', granularity: 'sequence' } }, 2)
    const own = reader(config)
    const { ids, documents } = excerpts()
    const mask = Uint8Array.from(ids, (_, i) => (i === 2 || i === 4 ? 1 : 0))
    const { tokens } = await readDocument(own, { ids, documents, apart: true, mask }, 0)
    expect(tokens.map(({ uncounted }) => uncounted)).toEqual([true, undefined, true, undefined, true])
    // Its five tokens alone, whose entropies count at the second and the fourth.
    const input = [...ids.subarray(0, 5), 0, 0, 0]
    const logits = await Promise.all(own.logits.slice(0, 2).map((ask) => ask(input)))
    const means = logits.map((rows) =>
      [1, 3].reduce((sum, at) => sum + entropy(softmax(rows[at]!, 1)) / 2, 0),
    )
    const unscaled = means.map((h) => Math.exp(-h))
    const sum = unscaled.reduce((a, b) => a + b)
    for (const { alpha } of tokens)
      for (const [k, a] of unscaled.entries()) expect(alpha[k]).toBeCloseTo(a / sum, 4)
  })

  it('takes each teacher’s temperature into account where the run calibrates', async () => {
    const config = { ...runConfig({ weighting: { strategy: 'calibrated-entropy' } }), temperatures: [2, 0.5] }
    const own = reader(config)
    const ids = text()
    const { tokens } = await readDocument(own, excerpts(), 0)
    const input = Array.from(ids.subarray(0, 8))
    for (const [k, temperature] of config.temperatures.entries()) {
      const p = softmax((await own.logits[k]!(input))[0]!, temperature)
      expectPrediction(tokens[0]!.teachers[k]!, p, ids[1]!)
    }
  })
})

describe('pieces', () => {
  const bytes = {
    encode: (words: string) => Int32Array.from(Buffer.from(words)),
    decode: (ids: ArrayLike<number>) => Buffer.from(Array.from(ids)).toString('utf8'),
  }

  it('add up to the text, a character of several tokens coming with its last', () => {
    const words = 'Zürich, 日本 ✓'
    const parts = textOfEach(bytes.encode(words), bytes)
    expect(parts.join('')).toBe(words)
    expect(parts.slice(0, 3)).toEqual(['Z', '', 'ü'])
  })

  it('keep the space that a decoder leaves out at the beginning of a text', () => {
    const trimming = { ...bytes, decode: (ids: ArrayLike<number>) => bytes.decode(ids).replace(/^ /, '') }
    expect(pieceReader(trimming)(' '.charCodeAt(0))).toBe(' ')
  })
})
