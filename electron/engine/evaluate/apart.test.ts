import { beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '../../files'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import type { LanguageModel } from '../model/reader'
import { divergences } from './apart'

const VOCAB = 7
const random = createRandom(5, 'apart')
const table = () =>
  Array.from({ length: VOCAB }, () => Array.from({ length: VOCAB }, () => 4 * random.next() - 2))

/** What comes next depends on the last token alone: logits by a table. */
function bigram(logits: number[][], context: number): LanguageModel {
  const rows = tf.tensor2d(logits)
  return {
    vocab: VOCAB,
    context,
    parameters: 0,
    reader: () => ({
      logits: (tokens) => tf.gather(rows, tf.reshape(tokens, [-1])) as tf.Tensor2D,
      dispose() {},
    }),
    textReader: () => {
      throw new Error('nothing is written here')
    },
    dispose: () => rows.dispose(),
  }
}

function softmax(logits: number[]): number[] {
  const sum = logits.reduce((total, z) => total + Math.exp(z), 0)
  return logits.map((z) => Math.exp(z) / sum)
}
const kl = (p: number[], q: number[]) => p.reduce((sum, x, v) => sum + x * Math.log(x / q[v]!), 0)

describe('how far two models are apart', () => {
  beforeAll(() => startBackend('onnx', { threads: 1 }))

  it('is the mean divergence over the tokens that are scored, either way', async () => {
    const [a, b] = [table(), table()]
    const ids = Int32Array.from([
      0,
      ...Array.from({ length: 40 }, () => 1 + random.integer(VOCAB - 1)),
      0,
      3,
      2,
    ])
    // The token before a document is never what is predicted.
    const before = [...ids.slice(0, -1)].filter((_, i) => ids[i + 1] !== 0)
    const mean = (p: number[][], q: number[][]) =>
      before.reduce((sum, id) => sum + kl(softmax(p[id]!), softmax(q[id]!)), 0) / before.length
    const models = [bigram(a, 16), bigram(b, 9)] as const
    const found = await divergences(models, { ids, bytes: 1 }, 0)
    expect(found).toEqual([expect.closeTo(mean(a, b), 5), expect.closeTo(mean(b, a), 5)])
    const same = await divergences([models[0], models[0]], { ids, bytes: 1 }, 0)
    expect(same).toEqual([expect.closeTo(0, 6), expect.closeTo(0, 6)])
    for (const model of models) model.dispose()
  })
})
