import { existsSync, readFileSync } from 'node:fs'
import { badInput, failed, type EvaluateResult, type Job, type ModelScore } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { loadTokenizer } from '../data/tokenizer'
import { readModel } from '../model/modelFolder'
import { toTensors } from '../model/weights'
import type { Progress } from '../progress'
import { heldOutText, type HeldOutText } from './heldOut'
import { scoreIds } from './score'

type EvaluateJob = Extract<Job, { kind: 'evaluate' }>

/** Scores every model on every corpus' held-out split, or on one text file. */
export async function evaluateModels(job: EvaluateJob, progress: Progress): Promise<EvaluateResult> {
  const text = job.text === undefined ? undefined : readText(job.text)
  await startBackend(job.backend, { threads: job.threads })
  const scores: ModelScore[] = []
  const total = job.models.length * (text === undefined ? job.corpora.length : 1)
  for (const ref of job.models) {
    const { config, weights } = await readModel(ref.folder)
    const parameters = toTensors(weights)
    const tokenizer = await loadTokenizer(job.dataDir, ref.tokenizer)
    const score = async (source: HeldOutText, corpus?: string) => {
      const done = scores.length
      const onBatch = (fraction: number) => progress(`scoring ${ref.name}`, (done + fraction) / total)
      if (source.ids.length < 2)
        throw failed(`there is no text to score ${corpus ? `in corpus ${corpus}` : ''}`)
      const options = { bos: tokenizer.bos, bytes: source.bytes }
      scores.push({
        model: ref.name,
        corpus,
        ...(await scoreIds(config, parameters, source.ids, options, onBatch)),
      })
    }
    if (text !== undefined) await score(withBos(tokenizer.bos, tokenizer.encode(text), text))
    else {
      for (const corpus of job.corpora) {
        await score(await heldOutText(job.dataDir, corpus, ref.tokenizer, tokenizer, job.tokens), corpus.id)
      }
    }
    tf.dispose([...parameters.values()])
  }
  return { scores }
}

function withBos(bos: number, encoded: Int32Array, text: string): HeldOutText {
  const ids = new Int32Array(encoded.length + 1)
  ids[0] = bos
  ids.set(encoded, 1)
  return { ids, bytes: Buffer.byteLength(text) }
}

function readText(file: string): string {
  if (!existsSync(file)) throw badInput('there is no such file', { file })
  const bytes = readFileSync(file)
  if (!bytes.length) throw badInput('the file is empty', { file, expected: 'text to score' })
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw badInput('the file is not UTF-8', { file, expected: 'UTF-8 text' })
  }
}
