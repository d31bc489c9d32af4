import { beforeAll, expect, it } from 'vitest'
import { EMBEDDING, HEAD, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { configFiles } from './exportHuggingFace'
import { createTables, forward } from './forward'
import { withoutPadding } from './vocabulary'
import { initialise, toTensors, type Weights } from './weights'

beforeAll(() => startBackend('onnx', { threads: 1 }))

const sizes = { width: 16, layers: 2, heads: 2, kvHeads: 1, hidden: 24, context: 32 }
const padded = (tied: boolean): ModelConfig => ({
  family: 'llama',
  vocab: 50,
  rows: 64,
  ...sizes,
  tied,
  ropeBase: 10_000,
  normEpsilon: 1e-6,
})

async function logitsOf(config: ModelConfig, weights: Weights, ids: number[]): Promise<Float32Array> {
  const [parameters, tables] = [toTensors(weights), createTables(config, ids.length)]
  const tokens = tf.tensor2d([ids], undefined, 'int32')
  const logits = tf.tidy(() => forward(config, parameters, tokens, tables).logits)
  const values = (await logits.data()) as Float32Array
  tables.dispose()
  tf.dispose([logits, tokens, ...parameters.values()])
  return values
}

it.each([true, false])(
  'a model without its padding (tied: %s) says the same, of the same numbers',
  async (tied) => {
    const config = padded(tied)
    const weights = initialise(config, 3)
    const cut = withoutPadding(config, weights)
    expect(cut.config).toEqual({ ...config, rows: undefined })
    for (const name of tied ? [EMBEDDING] : [EMBEDDING, HEAD]) {
      expect(cut.weights.get(name)!.shape).toEqual([50, 16])
      expect(cut.weights.get(name)!.data.buffer).toBe(weights.get(name)!.data.buffer)
    }
    expect(cut.weights.size).toBe(weights.size)
    const ids = [0, 49, 7, 7, 23]
    expect(await logitsOf(cut.config, cut.weights, ids)).toEqual(await logitsOf(config, weights, ids))
  },
)

it('an export says of rows that no token has that nothing is written with their ids', () => {
  const generation = (config: ModelConfig) => {
    const files = configFiles({ config, bos: 0, eos: [0], dtype: 'f32' })
    return JSON.parse(files.find(([name]) => name === 'generation_config.json')![1] as string) as unknown
  }
  expect(generation({ ...padded(true), rows: undefined })).toEqual({ bos_token_id: 0, eos_token_id: 0 })
  expect(generation({ ...padded(true), rows: 53 })).toEqual({
    bos_token_id: 0,
    eos_token_id: 0,
    suppress_tokens: [50, 51, 52],
  })
})
