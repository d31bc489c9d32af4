import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { badInput, failed, type EvaluateResult, type Job, type ModelScore, type TaskFormat } from '#contract'
import { startBackend } from '../backend'
import { loadTokenizer } from '../data/tokenizer'
import { openLanguageModel } from '../model/languageModel'
import type { Progress } from '../progress'
import { divergences } from './apart'
import { continueAll, heldOutPrompts, overlap, type Prompt, type Writer } from './continuations'
import { heldOutText, type HeldOutText } from './heldOut'
import { scoreIds } from './score'
import { evaluateTask } from './tasks/evaluateTask'
import type { TaskExample } from './tasks/example'
import { parseJsonLines, readTask } from './tasks/readers'

type EvaluateJob = Extract<Job, { kind: 'evaluate' }>

/**
 * Scores every model on every corpus' held-out split, or on one text file; continues prompts and does tasks where the
 * job asks for them. All files are read before the first model is.
 */
export async function evaluateModels(job: EvaluateJob, progress: Progress): Promise<EvaluateResult> {
  const text = job.text === undefined ? undefined : readText(job.text)
  const given =
    job.continuations === undefined ? undefined : readPrompts(job.continuations).slice(0, job.prompts)
  const tasks = job.tasks.map(({ format, path }) => ({
    format,
    examples: spread(readTask(format, path), job.examples),
  }))
  await startBackend(job.backend, { threads: job.threads })
  const scores: ModelScore[] = []
  const total = job.models.length * (text === undefined ? job.corpora.length : 1)
  for (const ref of job.models) {
    const model = await openLanguageModel(ref.folder)
    const tokenizer = await loadTokenizer(job.dataDir, ref.tokenizer)
    const writer = { model, tokenizer }
    const { parameters, flopsPerToken } = model
    const score = async (source: HeldOutText, corpus?: string) => {
      const done = scores.length
      const onBatch = (fraction: number) => progress(`scoring ${ref.name}`, (done + fraction) / total)
      if (source.ids.length < 2)
        throw failed(`there is no text to score ${corpus ? `in corpus ${corpus}` : ''}`)
      const options = { ...source, bos: tokenizer.bos }
      const own = await scoreIds(model, source.ids, options, onBatch)
      const prompts = given ?? heldOutPrompts(source.ids, tokenizer, job.prompts)
      scores.push({
        model: ref.name,
        corpus,
        ...own,
        parameters,
        ...(flopsPerToken && { flopsPerToken }),
        ...(await continued(writer, prompts, progress)),
        ...(tasks.length && { tasks: await perform(writer, tasks, progress) }),
      })
    }
    if (text !== undefined) await score(withBos(tokenizer.bos, tokenizer.encode(text), text))
    else {
      for (const corpus of job.corpora) {
        await score(
          await heldOutText(job.dataDir, { row: corpus }, ref.tokenizer, tokenizer, job.tokens),
          corpus.id,
        )
      }
    }
    model.dispose()
  }
  if (job.divergence) await compareModels(job, scores, progress)
  return { scores }
}

/** Tokens of a corpus on which two models are compared. */
const COMPARED = 4096

/** Adds to the scores how far models of one tokenizer are apart: two are in memory at a time. */
async function compareModels(
  { dataDir, models, corpora }: EvaluateJob,
  scores: readonly ModelScore[],
  progress: Progress,
): Promise<void> {
  const others = models.map(({ tokenizer }, i) =>
    [...models.keys()].filter((j) => j > i && models[j]!.tokenizer.id === tokenizer.id),
  )
  const scoreOf = (model: number, corpus: number) => scores[model * corpora.length + corpus]!
  const total = others.flat().length * corpora.length
  let done = 0
  for (const [i, ref] of models.entries()) {
    if (!others[i]!.length) continue
    const tokenizer = await loadTokenizer(dataDir, ref.tokenizer)
    const texts: HeldOutText[] = []
    for (const row of corpora)
      texts.push(await heldOutText(dataDir, { row }, ref.tokenizer, tokenizer, COMPARED))
    const one = await openLanguageModel(ref.folder)
    for (const j of others[i]!) {
      const other = await openLanguageModel(models[j]!.folder)
      for (const [c, text] of texts.entries()) {
        const [there, back] = await divergences([one, other], text, tokenizer.bos, (fraction) =>
          progress(`comparing ${ref.name} and ${models[j]!.name}`, (done + fraction) / total),
        )
        ;(scoreOf(i, c).kl ??= {})[j] = there
        ;(scoreOf(j, c).kl ??= {})[i] = back
        done++
      }
      other.dispose()
    }
    one.dispose()
  }
}

async function continued(
  writer: Writer,
  prompts: readonly Prompt[],
  progress: Progress,
): Promise<Partial<ModelScore>> {
  if (!prompts.length) return {}
  const { continuations, tokensPerSecond } = await continueAll(writer, prompts, (fraction) =>
    progress('continuing prompts', fraction),
  )
  return { ...overlap(continuations), prompts: prompts.length, tokensPerSecond }
}

async function perform(
  writer: Writer,
  tasks: readonly { format: TaskFormat; examples: TaskExample[] }[],
  progress: Progress,
): Promise<ModelScore['tasks']> {
  const scores: ModelScore['tasks'] = []
  for (const { format, examples } of tasks) {
    scores.push(
      await evaluateTask(format, writer, examples, (fraction) => progress(`task ${format}`, fraction)),
    )
  }
  return scores
}

/** At most `count` of the items, evenly spread, in their order. */
function spread<T>(items: readonly T[], count: number): T[] {
  const kept = Math.min(count, items.length)
  return Array.from({ length: kept }, (_, i) => items[Math.floor((i * items.length) / kept)]!)
}

const continuationLine = z.object({ prefix: z.string().min(1), gold_completion: z.string().min(1) })

/** Prompts of another tool's making: JSON lines with `prefix` and `gold_completion`. */
function readPrompts(file: string): Prompt[] {
  return parseJsonLines(continuationLine, readText(file), file).map((line) => ({
    prompt: line.prefix,
    reference: line.gold_completion,
  }))
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
