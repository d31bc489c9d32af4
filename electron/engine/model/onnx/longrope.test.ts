import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '../../backend'
import { openTokenizer } from '../../data/tokenizer'
import { Decoder } from '../decoder'
import { encodeOnnxModel } from '../exportOnnx'
import { readHuggingFace } from '../huggingface'
import type { TextReader } from '../reader'
import { argMax } from '../sampling'
import { toTensors } from '../weights'
import { checkOnnx } from './importOnnx'
import { OnnxDecoder } from './decoder'
import { OnnxSession } from './session'

const folder = resolve(import.meta.dirname, '../../../../../shared/data/families/phi3')
const there = existsSync(folder)
if (!there) console.warn('SKIPPED: LongRoPE with a KV cache needs ../shared/data/families')

/**
 * What transformers 5 says of the tiny Phi 3 with `rope_scaling` of the kind longrope, 24 tokens first and 128 at most:
 * 16 greedy tokens behind 18, with its cache and without, which it forgets after the 24th; and of texts of so many of
 * these tokens, read whole, the first 12 log-probabilities.
 */
interface Expected {
  factors: { short: number[]; long: number[] }
  original: number
  context: number
  ids: number[]
  greedy: number[]
  rows: Record<string, number[]>
}
const expected = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/longrope.json'), 'utf8'),
) as Expected

describe.skipIf(!there)('LongRoPE with a KV cache', () => {
  const root = mkdtempSync(join(tmpdir(), 'retort-longrope-'))
  const file = join(root, 'model.onnx')
  beforeAll(async () => {
    await startBackend('onnx', { threads: 1 })
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>
    const { factors, original, context } = expected
    delete config.rope_parameters
    const changes = {
      rope_theta: 10_000,
      rope_scaling: { type: 'longrope', short_factor: factors.short, long_factor: factors.long },
      original_max_position_embeddings: original,
      max_position_embeddings: context,
    }
    writeFileSync(join(root, 'config.json'), JSON.stringify({ ...config, ...changes }))
    cpSync(join(folder, 'model.safetensors'), join(root, 'model.safetensors'))
    const model = readHuggingFace(root)
    writeFileSync(file, encodeOnnxModel(model.config, model.weights, { kvCache: true }))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  const { vocab } = there ? openTokenizer(join(folder, 'tokenizer.json'), 'huggingface') : { vocab: 0 }

  /** Writes on as `expected` does, and holds what it says at some lengths against it. */
  async function writesAsExpected(reader: TextReader): Promise<void> {
    const all = [...expected.ids]
    let [row] = await reader.read([{ text: 0, ids: all }])
    for (const _ of expected.greedy) {
      const known = row!.subarray(0, vocab)
      const wanted = expected.rows[all.length]
      if (wanted) {
        // The normaliser is over all rows, padding too, as transformers has it.
        const most = Math.max(...row!)
        const sum = Math.log(row!.reduce((total, z) => total + Math.exp(z - most), 0)) + most
        for (const [i, logProbability] of wanted.entries())
          expect(row![i]! - sum, `${all.length} tokens`).toBeCloseTo(logProbability, 4)
      }
      all.push(argMax(known))
      ;[row] = await reader.read([{ text: 0, ids: [all.at(-1)!] }])
    }
    expect(all.slice(expected.ids.length)).toEqual(expected.greedy)
  }

  it('is read as transformers reads it, by our cache and by that of an ONNX file', async () => {
    const { config, weights } = readHuggingFace(root)
    await writesAsExpected(new Decoder(config, toTensors(weights)))
    const onnx = await checkOnnx(file, config.vocab)
    const session = await OnnxSession.open(file)
    await writesAsExpected(new OnnxDecoder(session, onnx.config))
    await session.release()
  })

  it('has a file that refuses to go on across the length that was trained on first, and nowhere else', async () => {
    const session = await OnnxSession.open(file)
    const all = Int32Array.from([...expected.ids, ...expected.greedy])
    const pass = (from: number, to: number, past?: Awaited<ReturnType<OnnxSession['pass']>>['past']) =>
      session.pass(all.subarray(from, to), to - from, { remember: true, past })
    const short = await pass(0, 20)
    const full = await pass(20, 24, short.past)
    await expect(pass(24, 25, full.past)).rejects.toThrow(/Reshape/)
    await expect(pass(20, 30, short.past)).rejects.toThrow(/Reshape/)
    const long = await pass(0, 25)
    const [behind, whole] = [await pass(25, 34, long.past), await pass(0, 34)]
    const last = ({ said }: typeof behind, rows: number) => {
      const { data } = said['logits']!
      return data.slice((data.length / rows) * (rows - 1))
    }
    for (const [i, value] of last(behind, 9).entries())
      expect(Math.abs(value - last(whole, 34)[i]!)).toBeLessThan(1e-4)
    await session.release()
  })
})
