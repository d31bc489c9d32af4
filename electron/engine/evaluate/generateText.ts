import type { GenerateResult, Job, ContinuedToken } from '#contract'
import { startBackend } from '../backend'
import { loadTokenizer } from '../data/tokenizer'
import { generate } from '../model/generate'
import { openLanguageModel } from '../model/languageModel'
import { likeliestTokens } from '../model/sampling'

/** Tokens before a piece that its text may depend on. */
const BEFORE = 8

/** Continues a prompt; `onText` gets the text as it grows, and with alternatives its last token. */
export async function generateText(
  job: Extract<Job, { kind: 'generate' }>,
  onText: (text: string, token?: ContinuedToken) => void,
): Promise<GenerateResult> {
  await startBackend(job.backend, { threads: job.threads })
  const model = await openLanguageModel(job.model.folder)
  const tokenizer = await loadTokenizer(job.dataDir, job.model.tokenizer)
  const promptIds = [tokenizer.bos, ...tokenizer.encode(job.prompt)]
  const prompt = tokenizer.decode(promptIds.slice(1))
  // The continuation is what decoding the whole adds to the prompt: pieces may depend on what stands before them.
  const continuation = (ids: readonly number[]) =>
    tokenizer.decode([...promptIds.slice(1), ...ids]).slice(prompt.length)
  const soFar: number[] = []
  const written: ContinuedToken[] = []
  const describe = (id: number, logits: Float32Array): ContinuedToken => {
    const before = [...promptIds.slice(1), ...soFar].slice(-BEFORE)
    const start = tokenizer.decode(before).length
    const textOf = (one: number) => tokenizer.decode([...before, one]).slice(start)
    const { top, probabilityOf } = likeliestTokens(logits, job.alternatives)
    const alternatives = top.map((one) => ({ text: textOf(one), probability: probabilityOf(one) }))
    return { text: textOf(id), probability: probabilityOf(id), alternatives }
  }
  const { ids, tokensPerSecond } = await generate({
    model,
    promptIds,
    tokens: job.tokens,
    temperature: job.temperature,
    topP: job.topP,
    seed: job.seed,
    stopIds: tokenizer.ends,
    onToken(id, logits) {
      const token = job.alternatives ? describe(id, logits) : undefined
      if (token) written.push(token)
      soFar.push(id)
      onText(continuation(soFar), token)
    },
  })
  model.dispose()
  return {
    text: continuation(ids),
    tokens: ids.length,
    tokensPerSecond,
    ...(job.alternatives > 0 && { written }),
  }
}
