import { failed, type Int8Cost, type Int8Result, type Job } from '#contract'
import { checkInt8, startBackend } from '../backend'
import { tf } from '../backend/tf'
import { loadTokenizer } from '../data/tokenizer'
import { logProbabilities } from '../distill/divergence'
import { labelLogProbabilities } from '../distill/losses'
import { createTables, finalLogits, forward, type Parameters } from '../model/forward'
import { readModel } from '../model/modelFolder'
import { quantisedTensors } from '../model/quantised'
import { toTensors } from '../model/weights'
import type { Progress } from '../progress'
import { heldOutText } from './heldOut'
import { batchFor } from './score'
import { scoringWindows } from './windows'

type Int8Job = Extract<Job, { kind: 'measure-int8' }>

const LONGEST = 256

/** Compares each model with itself in 8 bits, token by token on the held-out text. */
export async function measureInt8(job: Int8Job, progress: Progress): Promise<Int8Result> {
  const { kind } = await startBackend(job.backend, { threads: job.threads })
  await checkInt8(kind)
  const costs: Int8Cost[] = []
  for (const [i, ref] of job.models.entries()) {
    const { config, weights } = await readModel(ref.folder)
    const exact = toTensors(weights)
    const small = quantisedTensors(config, weights)
    const tokenizer = await loadTokenizer(job.dataDir, ref.tokenizer)
    const context = Math.min(config.context, LONGEST)
    const tables = createTables(config, context)
    const batch = batchFor(config, context)
    const total = new Float64Array(4)
    for (const row of job.corpora) {
      const text = await heldOutText(job.dataDir, { row }, ref.tokenizer, tokenizer, job.tokens)
      if (text.ids.length < 2) throw failed(`there is no held-out text in corpus ${row.name}`)
      for (const window of scoringWindows(text.ids, { ...text, context, batch, bos: tokenizer.bos })) {
        const tokens = () => tf.tensor2d(window.inputs, [batch, context], 'int32')
        const said = (parameters: Parameters) =>
          logProbabilities(finalLogits(forward(config, parameters, tokens(), tables).final), 1)
        const sums = tf.tidy(() => compared(said(exact), said(small), window))
        for (const [j, value] of (await sums.data()).entries()) total[j]! += value
        sums.dispose()
        progress(`measuring ${ref.name} in 8 bits`, (i + 0.5) / job.models.length)
      }
    }
    const [count, kl, f32, int8] = total as unknown as [number, number, number, number]
    costs.push({
      corpora: job.corpora.map(({ id }) => id),
      tokens: count,
      kl: kl / count,
      perplexity: { f32: Math.exp(f32 / count), int8: Math.exp(int8 / count) },
    })
    tables.dispose()
    tf.dispose([...exact.values(), ...small.values()])
  }
  return { costs }
}

/** Sums over the tokens that are scored: 1, KL(p || q), -log p(label), -log q(label); from log p and log q, [tokens, vocab]. */
function compared(
  logP: tf.Tensor2D,
  logQ: tf.Tensor2D,
  { targets, weights }: { targets: Int32Array; weights: Float32Array },
): tf.Tensor1D {
  const labels = tf.tensor1d(targets, 'int32')
  const kl = tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), -1)
  const losses = [logP, logQ].map((table) => tf.neg(labelLogProbabilities(table, labels)))
  const counted = tf.tensor1d(weights)
  const parts = [tf.onesLike(counted), kl, ...losses]
  return tf.stack(parts.map((part) => tf.sum(tf.mul(tf.reshape(part, [-1]), counted)))) as tf.Tensor1D
}
