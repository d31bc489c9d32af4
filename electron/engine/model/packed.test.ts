import { beforeAll, describe, expect, it } from 'vitest'
import { architecture, type ArchitectureInput, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { countFrom } from '../data/packing'
import { createRandom } from '../random'
import { createTables, forward } from './forward'
import { layoutOf, positionsOf, sameExample } from './packed'
import { ofFamilies } from './testing'
import { initialise, toTensors } from './weights'

const base: ModelConfig = {
  family: 'llama',
  vocab: 19,
  width: 16,
  layers: 4,
  heads: 2,
  kvHeads: 1,
  hidden: 24,
  context: 400,
  tied: false,
  ropeBase: 100,
  normEpsilon: 1e-5,
}
const others: [string, ArchitectureInput][] = [
  ['short windows and caps', { attention: { cap: 0.5, windows: [4, 3] } }],
  ['parts of heads turned', { positions: { rotary: [{ dimensions: 4 }, { base: 7 }], byLayer: [0, 1] } }],
  ['learned positions', { positions: { rotary: [], learned: 2 } }],
]
const models = [
  ...ofFamilies(base),
  ...others.map(([name, own]): [string, ModelConfig] => [
    name,
    { ...base, architecture: architecture.parse(own) },
  ]),
]

beforeAll(() => startBackend('onnx', { threads: 1 }))

/** All that a pass says of a row's tokens, [tokens, numbers]. */
async function said(config: ModelConfig, ids: Int32Array, time: number, sizes?: number[][]) {
  const parameters = toTensors(initialise(config, 3))
  const tables = createTables(config, time)
  const positions = sizes && new Int32Array(ids.length)
  for (const [row, own] of sizes?.entries() ?? []) {
    let at = row * time
    for (const size of own) countFrom(positions!, at, (at += size))
    countFrom(positions!, at, (row + 1) * time)
  }
  const all = tf.tidy(() => {
    const tokens = tf.tensor2d(ids, [ids.length / time, time], 'int32')
    const layout = layoutOf(tables, positionsOf(positions, time))
    const plain = forward(config, parameters, tokens, layout)
    const mapped = forward(config, parameters, tokens, layout, { attention: true })
    return tf.concat([plain.logits, ...plain.hidden, mapped.logits], 1)
  })
  const rows = (await all.array()) as number[][]
  tf.dispose([all, ...parameters.values()])
  tables.dispose()
  return rows
}

/** @param sizes of the examples of each sequence; what is left of it is padding */
async function expectSame(config: ModelConfig, time: number, sizes: number[][]) {
  const random = createRandom(9, 'packed.test')
  const ids = Int32Array.from({ length: sizes.length * time }, () => random.integer(config.vocab))
  const together = await said(config, ids, time, sizes)
  let compared = 0
  for (const [row, own] of sizes.entries()) {
    let at = row * time
    for (const size of own) {
      const alone = new Int32Array(time)
      alone.set(ids.subarray(at, at + size))
      const single = await said(config, alone, time)
      for (let i = 0; i < size; i++)
        for (const [j, value] of single[i]!.entries()) {
          compared++
          if (Math.abs(value - together[at + i]![j]!) > 1e-5 * Math.max(1, Math.abs(value)))
            expect(together[at + i]![j], `row ${row}, token ${at + i}, number ${j}`).toBeCloseTo(value, 5)
        }
      at += size
    }
  }
  expect(compared).toBeGreaterThan(0)
}

describe.each(models)('%s: several examples in a sequence', (_, config) => {
  it('are each computed as alone', () => expectSame(config, 12, [[5, 1, 6], [3, 7], [12]]))
})

it('are computed as alone where a sequence is computed in blocks', () =>
  expectSame(
    { ...base, layers: 2, architecture: architecture.parse({ attention: { windows: [40, 300] } }) },
    280,
    [
      [100, 90, 60],
      [130, 149],
    ],
  ))

it('knows which tokens are of one example', async () => {
  const same = sameExample(tf.tensor2d([[0, 1, 0, 0]], [1, 4], 'int32'))
  expect(await same.array()).toEqual([
    [
      [1, 1, 0, 0],
      [1, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ],
  ])
})
