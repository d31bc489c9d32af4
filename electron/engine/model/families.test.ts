import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { openTokenizer } from '../data/tokenizer'
import { encodeOnnxModel } from './exportOnnx'
import { createTables, forward } from './forward'
import { argMax } from './sampling'
import { huggingFaceConfig, huggingFaceWeights } from './exportHuggingFace'
import { readHuggingFace } from './huggingface'
import { nativeModel } from './languageModel'
import { encodeSafetensors } from './safetensorsWriter'
import { withVocabulary } from './vocabulary'
import { toTensors } from './weights'
import { GREEDY, writeAlone, writeSequences } from './writeSequences'

const folder = resolve(import.meta.dirname, '../../../../shared/data/families')
const names = existsSync(folder) ? readdirSync(folder).sort() : []
if (!names.length) console.warn('SKIPPED: families of models need ../shared/data/families')

/** What transformers says of a folder's model, in float32. */
interface Expected {
  ids: number[]
  nll: number
  next: number[]
  greedy: number[]
}

/**
 * That folder's `next` is of weights that were not rounded to bfloat16 yet. These are what transformers 5.24 computes
 * in float32 from the weights that are there.
 */
const MENDED: Readonly<Record<string, Partial<Expected>>> = {
  'qwen2-bf16': {
    next: [-4.952651, -6.310018, -5.931899, -5.99896, -7.14018, -5.852527, -6.130879, -6.084371],
  },
}

function expectedOf(name: string): Expected {
  const said = JSON.parse(readFileSync(join(folder, name, 'expected.json'), 'utf8')) as Expected
  return { ...said, ...MENDED[name] }
}

function open(name: string) {
  const path = join(folder, name)
  const { config, weights } = readHuggingFace(path)
  const { vocab } = openTokenizer(join(path, 'tokenizer.json'), 'huggingface')
  return { config: withVocabulary(config, vocab, path), weights }
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe.each(names)('%s, as transformers saves and computes it', (name) => {
  const half = /16$/.test(name)

  it('gives the same probabilities by a whole pass', async () => {
    const { config, weights } = open(name)
    const { ids, nll, next, greedy } = expectedOf(name)
    const parameters = toTensors(weights)
    const all = [...ids, ...greedy]
    const tables = createTables(config, all.length)
    const logP = tf.tidy(() => {
      const { logits } = forward(config, parameters, tf.tensor2d([all], undefined, 'int32'), tables)
      return tf.logSoftmax(logits)
    })
    const rows = (await logP.array()) as number[][]
    tables.dispose()
    tf.dispose([logP, ...parameters.values()])
    const loss = ids.slice(1).reduce((sum, id, i) => sum - rows[i]![id]!, 0) / (ids.length - 1)
    expect(Math.abs(loss - nll)).toBeLessThan(half ? 1e-4 : 1e-5)
    const last = rows[ids.length - 1]!
    for (const [id, value] of next.entries()) expect(Math.abs(last[id]! - value)).toBeLessThan(1e-4)
    expect(greedy.map((_, i) => argMax(Float32Array.from(rows[ids.length - 1 + i]!)))).toEqual(greedy)
  })

  it('writes the same 16 tokens with its KV cache, alone and beside others', async () => {
    const { config, weights } = open(name)
    const { ids, greedy } = expectedOf(name)
    const model = nativeModel(config, toTensors(weights))
    const options = { ...GREEDY, tokens: greedy.length, ends: [] }
    const alone = (prompt: number[]) => writeAlone(model, prompt, options)
    expect(await alone(ids)).toEqual(greedy)
    const others = [ids.slice(0, 5), ids.slice(2)]
    const together = await writeSequences(model, [others[0]!, ids, others[1]!], options)
    expect(together).toEqual([await alone(others[0]!), greedy, await alone(others[1]!)])
    model.dispose()
  })

  it('gives the same logits as an ONNX file', async () => {
    const { config, weights } = open(name)
    const ids = expectedOf(name).ids.slice(0, 40)
    const session = await InferenceSession.create(encodeOnnxModel(config, weights), { intraOpNumThreads: 1 })
    const feed = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
    const { logits } = await session.run({ input_ids: feed })
    await session.release()
    const parameters = toTensors(weights)
    const tables = createTables(config, ids.length)
    const own = tf.tidy(
      () => forward(config, parameters, tf.tensor2d([ids], undefined, 'int32'), tables).logits,
    )
    const expected = (await own.data()) as Float32Array
    tables.dispose()
    tf.dispose([own, ...parameters.values()])
    // Ids beyond the tokenizer's are in the file: they are in the weights.
    const rows = config.rows ?? config.vocab
    expect(logits!.dims).toEqual([1, ids.length, rows])
    const said = logits!.data as Float32Array
    const furthest = expected.reduce((most, value, i) => {
      const place = Math.floor(i / config.vocab) * rows + (i % config.vocab)
      return Math.max(most, Math.abs(value - said[place]!))
    }, 0)
    expect(furthest).toBeLessThan(1e-5)
  })

  it('is written as it was read', () => {
    const { config, weights } = readHuggingFace(join(folder, name))
    const target = mkdtempSync(join(tmpdir(), 'retort-family-'))
    try {
      writeFileSync(join(target, 'config.json'), JSON.stringify(huggingFaceConfig(config, 0)))
      writeFileSync(join(target, 'model.safetensors'), encodeSafetensors(huggingFaceWeights(config, weights)))
      const again = readHuggingFace(target)
      expect(again.config).toEqual(config)
      for (const [name, { shape, data }] of weights) expect(again.weights.get(name)).toEqual({ shape, data })
    } finally {
      rmSync(target, { recursive: true })
    }
  })
})
