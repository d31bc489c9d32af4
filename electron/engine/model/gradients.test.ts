import { beforeAll, describe, expect, it } from 'vitest'
import { architecture, type ArchitectureInput, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { createTables, forward } from './forward'
import { ofFamilies } from './testing'
import { initialise, toTensors, type Weights } from './weights'

const TIME = 10
const BATCH = 2
const base: ModelConfig = {
  family: 'llama',
  vocab: 19,
  width: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  hidden: 24,
  context: 16,
  tied: false,
  ropeBase: 100,
  normEpsilon: 1e-5,
}

const others: [string, ArchitectureInput, Partial<ModelConfig>?][] = [
  ['low caps and windows', { attention: { cap: 0.5, windows: [4, 3] }, logits: { cap: 0.8 } }],
  [
    'norms after the sum, of a narrow embedding',
    { norm: { kind: 'layer', bias: true, place: 'sum', final: false }, embedding: { width: 6 } },
  ],
  [
    'a norm for each head, one state for both',
    { norm: { kind: 'layer', bias: true }, parallel: 'shared', attention: { norm: 'each-head' } },
  ],
  [
    'multipliers',
    {
      residual: 0.3,
      embedding: { multiplier: 5 },
      logits: { multiplier: 0.5 },
      attention: { scale: 0.9, byDepth: true },
    },
  ],
  [
    'parts of heads turned, differently by layer',
    { positions: { rotary: [{ dimensions: 4 }, { base: 7 }], byLayer: [0, 1] } },
  ],
  ['rows beyond the vocabulary, a tied head', {}, { rows: 23, tied: true }],
  ['heads wider than the width', {}, { headSize: 12 }],
  ['norms that learn nothing', { norm: { kind: 'layer', gain: false } }],
  [
    'a scaling that stretches',
    {
      positions: {
        rotary: [
          {
            scaling: { kind: 'yarn', factor: 4, original: 4, attention: 1.3, fast: 32, slow: 1, whole: true },
          },
        ],
      },
    },
  ],
  ...(['gelu', 'gelu-sigmoid', 'relu-squared', 'tanh'] as const).map(
    (activation): [string, ArchitectureInput] => [
      activation,
      { feedForward: { activation, gated: activation !== 'tanh', bias: true } },
    ],
  ),
]
const configs: [string, ModelConfig][] = [
  ...ofFamilies(base),
  ...others.map(([name, own, changes]): [string, ModelConfig] => [
    name,
    { ...base, ...changes, architecture: architecture.parse(own) },
  ]),
]

/** Weights far from the first ones, so that every part has a gradient. */
function weightsOf(config: ModelConfig): Weights {
  const random = createRandom(3, 'weights')
  const weights = initialise(config, 1)
  for (const { shape, data } of weights.values())
    for (let i = 0; i < data.length; i++) data[i]! += random.normal() * (shape.length === 1 ? 0.2 : 0.25)
  return weights
}

const random = createRandom(5, 'tokens')
const tokens = Int32Array.from({ length: BATCH * TIME }, () => random.integer(base.vocab))
const labels = Int32Array.from({ length: BATCH * TIME }, () => random.integer(base.vocab))

/** Mean cross-entropy of the labels. */
function loss(config: ModelConfig, parameters: ReadonlyMap<string, tf.Tensor>, options = {}): tf.Scalar {
  const tables = createTables(config, TIME)
  const { logits } = forward(config, parameters, tf.tensor2d(tokens, [BATCH, TIME], 'int32'), tables, options)
  const hot = tf.oneHot(tf.tensor1d(labels, 'int32'), config.vocab)
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), hot), -1)))
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

/** By weight. */
async function gradientsOf(config: ModelConfig, parameters: Map<string, tf.Tensor>, options = {}) {
  const names = [...parameters.keys()]
  const gradients = tf.grads((...all: tf.Tensor[]) =>
    loss(config, new Map(names.map((name, i) => [name, all[i]!])), options),
  )([...parameters.values()])
  const values = new Map<string, Float32Array>()
  for (const [i, name] of names.entries()) values.set(name, (await gradients[i]!.data()) as Float32Array)
  tf.dispose(gradients)
  return values
}

describe.each(configs)('%s', (_, config) => {
  it('has the gradients of its loss, as its slopes are', async () => {
    const weights = weightsOf(config)
    const parameters = toTensors(weights)
    const gradients = await gradientsOf(config, parameters)
    const direction = createRandom(7, 'direction')
    const step = 1e-2
    // The last layer and what is outside: the other layers' weights are used in the same way.
    for (const name of [...weights.keys()].filter((name) => !name.startsWith('model.layers.0.'))) {
      const { shape, data } = weights.get(name)!
      const way = Float32Array.from(data, () => direction.normal() / Math.sqrt(data.length))
      const moved = async (by: number) => {
        const value = tf.tensor(
          data.map((x, j) => x + by * way[j]!),
          shape,
        )
        return (await loss(config, new Map(parameters).set(name, value)).data())[0]!
      }
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step)
      const own = gradients.get(name)!.reduce((sum, g, j) => sum + g * way[j]!, 0)
      expect(Math.abs(own - slope), name).toBeLessThan(3e-4 + 0.02 * Math.abs(slope))
    }
    tf.dispose([...parameters.values()])
  })

  it.each([
    ['layers computed again', { checkpointing: true }],
    ['attention maps', { attention: true }],
  ])('has the same with %s', async (_, options) => {
    const parameters = toTensors(weightsOf(config))
    const [plain, other] = [
      await gradientsOf(config, parameters),
      await gradientsOf(config, parameters, options),
    ]
    for (const [name, gradient] of plain)
      for (const [i, value] of gradient.entries())
        if (!(Math.abs(value - other.get(name)![i]!) < 1e-5))
          expect([name, other.get(name)![i]]).toEqual([name, value])
    tf.dispose([...parameters.values()])
  })
})
