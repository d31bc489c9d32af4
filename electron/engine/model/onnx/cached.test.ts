import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { headSize, type ModelConfig } from '#contract'
import { startBackend } from '../../backend'
import { openTokenizer } from '../../data/tokenizer'
import { encodeOnnxModel } from '../exportOnnx'
import { argMax } from '../sampling'
import { readHuggingFace } from '../huggingface'
import { turningPoint } from '../rotary'

const folder = resolve(import.meta.dirname, '../../../../../shared/data/families')
const names = existsSync(folder) ? readdirSync(folder).sort() : []
if (!names.length) console.warn('SKIPPED: ONNX files with a KV cache need ../shared/data/families')

interface Expected {
  ids: number[]
  greedy: number[]
}

/** An ONNX file with a KV cache, read on as Optimum and transformers.js do. */
class Reader {
  private past: Record<string, Tensor> = {}
  private mask: number[][]

  constructor(
    private readonly session: InferenceSession,
    private readonly config: ModelConfig,
    private readonly batch: number,
  ) {
    this.mask = Array.from({ length: batch }, () => [])
    const empty = new Tensor('float32', new Float32Array(), [batch, config.kvHeads, 0, headSize(config)])
    for (const name of session.inputNames) if (name.startsWith('past')) this.past[name] = empty
  }

  /**
   * Reads the next tokens of each sequence.
   *
   * @param ids of each sequence equally many; negative ones are padding
   * @returns the logits of each sequence's last token
   */
  async read(ids: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const { batch, config } = this
    const time = ids[0]!.length
    const before = this.mask.map((row) => row.reduce((sum, one) => sum + one, 0))
    this.mask = this.mask.map((row, i) => [...row, ...ids[i]!.map((id) => (id < 0 ? 0 : 1))])
    const positions = ids.map((row, i) => {
      let next = before[i]!
      return row.map((id) => (id < 0 ? 1 : next++))
    })
    const integers = (rows: readonly (readonly number[])[]) =>
      new Tensor('int64', BigInt64Array.from(rows.flat().map((n) => BigInt(Math.max(0, n)))), [
        batch,
        rows[0]!.length,
      ])
    const said = await this.session.run({
      input_ids: integers(ids),
      attention_mask: integers(this.mask),
      position_ids: integers(positions),
      ...this.past,
    })
    const total = this.mask[0]!.length
    for (const name of Object.keys(this.past)) {
      this.past[name] = said[name.replace('past_key_values', 'present')] as Tensor
      expect(this.past[name].dims).toEqual([batch, config.kvHeads, total, headSize(config)])
    }
    const rows = said['logits']!
    const width = rows.dims[2]!
    expect(rows.dims).toEqual([batch, time, width])
    const data = rows.data as Float32Array
    return ids.map((_, i) => data.subarray((i * time + time - 1) * width, (i * time + time) * width))
  }
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe.each(names)('%s as an ONNX file with a KV cache', (name) => {
  const open = async () => {
    const { config, weights } = readHuggingFace(join(folder, name))
    const file = encodeOnnxModel(config, weights, { kvCache: true })
    const expected = JSON.parse(readFileSync(join(folder, name, 'expected.json'), 'utf8')) as Expected
    const session = await InferenceSession.create(file, { intraOpNumThreads: 1 })
    const plain = await InferenceSession.create(encodeOnnxModel(config, weights), { intraOpNumThreads: 1 })
    const whole = async (ids: readonly number[]) => {
      const feed = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
      const { logits } = await plain.run({ input_ids: feed })
      return (logits!.data as Float32Array).subarray((ids.length - 1) * logits!.dims[2]!)
    }
    return { config, session, whole, expected }
  }
  const furthest = (a: Float32Array, b: Float32Array) =>
    a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)

  it('writes the tokens that transformers writes', async () => {
    const { config, session, expected } = await open()
    const { vocab } = openTokenizer(join(folder, name, 'tokenizer.json'), 'huggingface')
    let reader = new Reader(session, config, 1)
    let [last] = await reader.read([expected.ids])
    const said: number[] = []
    for (const _ of expected.greedy) {
      const next = argMax(last!.subarray(0, vocab))
      said.push(next)
      const all = [...expected.ids, ...said]
      // What the export warns of: the keys of a short text are turned otherwise.
      const anew = all.length === turningPoint(config) + 1
      if (anew) reader = new Reader(session, config, 1)
      ;[last] = await reader.read([anew ? all : [next]])
    }
    expect(said).toEqual(expected.greedy)
  })

  it('reads sequences of several lengths together, padded on the left, as each alone', async () => {
    const { config, session, whole, expected } = await open()
    const { ids, greedy } = expected
    const short = ids.slice(0, 5)
    const padded = [...ids.slice(5).map(() => -1), ...short]
    const reader = new Reader(session, config, 2)
    const first = await reader.read([ids, padded])
    expect(furthest(first[0]!, await whole(ids))).toBeLessThan(1e-4)
    expect(furthest(first[1]!, await whole(short))).toBeLessThan(1e-4)
    const [a, b] = [greedy.slice(0, 3), greedy.slice(3, 6)]
    const second = await reader.read([a, b])
    expect(furthest(second[0]!, await whole([...ids, ...a]))).toBeLessThan(1e-4)
    expect(furthest(second[1]!, await whole([...short, ...b]))).toBeLessThan(1e-4)
  })
})
