import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { format } from 'prettier'
import { beforeAll, expect, it } from 'vitest'
import { families, familyNames, studentArchitecture, type Family, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { openTokenizer } from '../data/tokenizer'
import { huggingFaceFiles } from './exportHuggingFace'
import { encodeOnnxModel } from './exportOnnx'
import { createTables, forward } from './forward'
import { encodeGguf } from './gguf'
import { readHuggingFace } from './huggingface'
import { withVocabulary } from './vocabulary'
import { initialise, toTensors, type Weights } from './weights'

/** Models as transformers saves them, and what it says of a text. */
const shared = resolve(import.meta.dirname, '../../../../shared/data/families')
const readme = resolve(import.meta.dirname, '../../../README.md')
if (!existsSync(shared)) console.warn('SKIPPED: the README’s table of families needs ../shared/data/families')

interface Sample {
  config: ModelConfig
  weights: Weights
  tokenizer: string
  ids: number[]
  nll: number
}

function samplesOf(family: Family): Sample[] {
  const paths = readdirSync(shared).map((name) => join(shared, name))
  const own = paths.filter((path) => {
    const { model_type: type } = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as {
      model_type: string
    }
    return type === family
  })
  return own.map((path) => {
    const tokenizer = join(path, 'tokenizer.json')
    const { config, weights } = readHuggingFace(path)
    const { ids, nll } = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as Sample
    const { vocab } = openTokenizer(tokenizer, 'huggingface')
    return { config: withVocabulary(config, vocab, path), weights, tokenizer, ids, nll }
  })
}

/** Mean cross-entropy of each token after the first, from rows of logits. */
function lossOf(rows: number[][], ids: readonly number[]): number {
  const surprise = (row: number[], id: number) =>
    Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[id]!
  return ids.slice(1).reduce((sum, id, i) => sum + surprise(rows[i]!, id), 0) / (ids.length - 1)
}

async function teaches({ config, weights, ids, nll }: Sample): Promise<boolean> {
  const parameters = toTensors(weights)
  const tables = createTables(config, ids.length)
  const logits = tf.tidy(
    () => forward(config, parameters, tf.tensor2d([ids], undefined, 'int32'), tables).logits,
  )
  const rows = (await logits.array()) as number[][]
  tables.dispose()
  tf.dispose([logits, ...parameters.values()])
  return Math.abs(lossOf(rows, ids) - nll) < 1e-4
}

/** Of a family, from nothing: all that it may be is the family's own. */
function student(family: Family, vocab: number): ModelConfig {
  const sizes = { width: 32, layers: 2, heads: 4 }
  const kvHeads = ['gpt2', 'gpt_neox', 'opt'].includes(family) ? 4 : 2
  const rest = { hidden: 64, context: 64, tied: true, ropeBase: 10000, normEpsilon: 1e-5 }
  const own = studentArchitecture(family, sizes)
  return { family, vocab, kvHeads, ...sizes, ...rest, ...(own && { architecture: own }) }
}

/** Whether a step against the gradient lowers the loss. */
async function learns(config: ModelConfig): Promise<boolean> {
  const ids = Array.from({ length: 12 }, (_, i) => (7 * i) % 50)
  const parameters = toTensors(initialise(config, 1))
  const tables = createTables(config, ids.length)
  const names = [...parameters.keys()]
  const loss = (...tensors: tf.Tensor[]) => {
    const own = new Map(names.map((name, i) => [name, tensors[i]!]))
    const { logits } = forward(config, own, tf.tensor2d([ids], undefined, 'int32'), tables)
    const after = tf.oneHot(tf.tensor1d([...ids.slice(1), ids[0]!], 'int32'), config.vocab)
    return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), after), -1))) as tf.Scalar
  }
  const [before, after] = tf.tidy(() => {
    const { value, grads } = tf.valueAndGrads(loss)([...parameters.values()])
    const moved = [...parameters.values()].map((tensor, i) => tf.sub(tensor, tf.mul(grads[i]!, 0.05)))
    return [value, loss(...moved)]
  }) as [tf.Scalar, tf.Scalar]
  const [a, b] = [(await before.data())[0]!, (await after.data())[0]!]
  tables.dispose()
  tf.dispose([before, after, ...parameters.values()])
  return b < a
}

function asHuggingFace({ config, weights }: Sample): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'retort-support-'))
  try {
    for (const [name, content] of huggingFaceFiles({
      config,
      weights,
      bos: 0,
      eos: [0],
      dtype: 'f32',
      shard: 5e9,
    }))
      writeFileSync(join(folder, name), typeof content === 'string' ? content : Buffer.concat(content))
    const again = readHuggingFace(folder)
    for (const [name, { shape, data }] of weights) expect(again.weights.get(name)).toEqual({ shape, data })
    return true
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function asOnnx({ config, weights, ids, nll }: Sample): Promise<boolean> {
  const session = await InferenceSession.create(encodeOnnxModel(config, weights), { intraOpNumThreads: 1 })
  const feed = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
  const { logits } = await session.run({ input_ids: feed })
  await session.release()
  const [, , size] = logits!.dims as [number, number, number]
  const all = Array.from(logits!.data as Float32Array)
  const rows = ids.map((_, i) => all.slice(i * size, i * size + config.vocab))
  return Math.abs(lossOf(rows, ids) - nll) < 1e-4
}

/** Why a model is no GGUF file; undefined where it is one. */
function notGguf({ config, weights, tokenizer: file }: Pick<Sample, 'config' | 'weights' | 'tokenizer'>) {
  const tokenizer = { file, kind: 'huggingface', bos: 0, eos: 0 } as const
  try {
    encodeGguf({ name: 'model', config, weights, tokenizer, dtype: 'f32' })
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

async function cells(family: Family): Promise<string[]> {
  const samples = samplesOf(family)
  const say = (does: readonly boolean[]) => (does.length && does.every(Boolean) ? 'yes' : 'no')
  const each = async (does: (sample: Sample) => boolean | Promise<boolean>) => {
    const said: boolean[] = []
    for (const sample of samples) said.push(await does(sample))
    return say(said)
  }
  const config = student(family, samples[0]!.config.vocab)
  const reasons = samples.map(notGguf).filter((reason) => reason !== undefined)
  const plain = notGguf({ config, weights: initialise(config, 1), tokenizer: samples[0]!.tokenizer })
  const windows = reasons.every((reason) => reason.includes('windows'))
  const gguf = plain !== undefined ? 'no' : !reasons.length ? 'yes' : windows ? 'without windows' : 'no'
  return [
    await each(teaches),
    say([await learns(config)]),
    await each(asHuggingFace),
    await each(asOnnx),
    gguf,
  ]
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

it.skipIf(!existsSync(shared))('the README’s table of families says what each can be', async () => {
  const rows = [['Family', 'Teacher', 'Student', 'Hugging Face', 'ONNX', 'GGUF'], Array(6).fill('---')]
  for (const family of families) rows.push([familyNames[family], ...(await cells(family))])
  const table = await format(rows.map((row) => `| ${row.join(' | ')} |`).join('\n'), { parser: 'markdown' })
  const [, written] =
    /<!-- families -->\n\n([\s\S]*?)\n\n<!-- \/families -->/.exec(readFileSync(readme, 'utf8')) ?? []
  expect(written).toBe(table.trimEnd())
})
