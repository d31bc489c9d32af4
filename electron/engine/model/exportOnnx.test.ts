import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { encodeOnnxModel } from './exportOnnx'
import { createTables, forward } from './forward'
import { initialise, toTensors, type Weights } from './weights'

const oracles = process.env['RETORT_ORACLES']
const grouped: ModelConfig = {
  family: 'llama',
  vocab: 37,
  width: 24,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  hidden: 40,
  context: 512,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}
const plain: ModelConfig = { ...grouped, kvHeads: 4, tied: false, ropeBase: 500, normEpsilon: 1e-6 }

/** Weights ten times the first ones: attention and logits far from uniform, norms that are not 1. */
function weightsOf(config: ModelConfig, seed: number): Weights {
  const random = createRandom(seed, 'gains')
  const weights = initialise(config, seed)
  for (const { shape, data } of weights.values())
    for (let i = 0; i < data.length; i++) data[i]! *= shape.length === 1 ? 0.5 + random.next() : 10
  return weights
}

function tokensOf(config: ModelConfig, batch: number, time: number): Int32Array {
  const random = createRandom(batch * 1000 + time, 'tokens')
  return Int32Array.from({ length: batch * time }, () => random.integer(config.vocab))
}

async function native(config: ModelConfig, weights: Weights, ids: Int32Array, batch: number) {
  const parameters = toTensors(weights)
  const tables = createTables(config, ids.length / batch)
  const tokens = tf.tensor2d(ids, [batch, ids.length / batch], 'int32')
  const logits = (await forward(config, parameters, tokens, tables).logits.data()) as Float32Array
  tf.dispose([...parameters.values()])
  tables.dispose()
  return logits
}

const furthest = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe('a model as an ONNX file', () => {
  it.each([
    ['grouped heads and a tied head', grouped],
    ['as many key heads as query heads, a head of its own', plain],
  ])('gives the logits of the native model, at any batch and length: %s', async (_, config) => {
    const weights = weightsOf(config, 5)
    const session = await InferenceSession.create(encodeOnnxModel(config, weights), { intraOpNumThreads: 1 })
    for (const [batch, time] of [
      [1, 1],
      [3, 7],
      [2, 64],
      [1, 500],
    ] as const) {
      const ids = tokensOf(config, batch, time)
      const feed = new Tensor('int64', BigInt64Array.from(ids, BigInt), [batch, time])
      const { logits } = await session.run({ input_ids: feed })
      expect(logits!.dims).toEqual([batch, time, config.vocab])
      const expected = await native(config, weights, ids, batch)
      expect(expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)).toBeGreaterThan(1)
      expect(furthest(logits!.data as Float32Array, expected)).toBeLessThan(1e-5)
    }
    await session.release()
  })

  it('is refused where the weights do not fit into one file, before they are looked at', () => {
    const large = { ...grouped, vocab: 50_000, width: 4096, layers: 24, heads: 32, hidden: 11_008 }
    expect(() => encodeOnnxModel(large, new Map())).toThrow(/format.* GB, an ONNX file holds at most 2 GB/)
  })

  it.skipIf(!oracles)(
    'passes onnx.checker and the reference evaluator, which gives the same logits',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'retort-onnx-'))
      const file = join(folder, 'model.onnx')
      const weights = weightsOf(grouped, 6)
      const ids = tokensOf(grouped, 2, 9)
      writeFileSync(file, encodeOnnxModel(grouped, weights))
      const script = `
import json, sys, numpy, onnx
from onnx.reference import ReferenceEvaluator
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
ids = numpy.array(json.loads(sys.argv[2]), dtype=numpy.int64).reshape(2, 9)
logits = ReferenceEvaluator(model).run(None, {"input_ids": ids})[0]
weights = sum(int(numpy.prod(t.dims)) for t in model.graph.initializer)
print(json.dumps({"logits": logits.reshape(-1).tolist(), "opset": model.opset_import[0].version, "weights": weights}))`
      let printed = ''
      try {
        printed = execFileSync(oracles!, ['-c', script, file, JSON.stringify([...ids])], { encoding: 'utf8' })
      } catch (error) {
        if (!String(error).includes('ModuleNotFoundError')) throw error
        console.warn(`SKIPPED: ${oracles} lacks onnx`)
        return
      } finally {
        rmSync(folder, { recursive: true })
      }
      const {
        logits,
        opset,
        weights: count,
      } = JSON.parse(printed) as {
        logits: number[]
        opset: number
        weights: number
      }
      expect(opset).toBe(18)
      expect(count).toBe([...weights.values()].reduce((sum, { data }) => sum + data.length, 0))
      const expected = await native(grouped, weights, ids, 2)
      expect(furthest(Float32Array.from(logits), expected)).toBeLessThan(1e-5)
    },
  )
})

if (!oracles)
  console.warn('SKIPPED: onnx.checker and onnx.reference need RETORT_ORACLES, a Python with the package onnx')
