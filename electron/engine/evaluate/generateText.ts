import type { GenerateResult, Job } from '#contract'
import { startBackend } from '../backend'
import { loadTokenizer } from '../data/tokenizer'
import { generate } from '../model/generate'
import { openLanguageModel } from '../model/languageModel'

/** Continues a prompt; `onText` gets the text as it grows. */
export async function generateText(
  job: Extract<Job, { kind: 'generate' }>,
  onText: (text: string) => void,
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
  const { ids, tokensPerSecond } = await generate({
    model,
    promptIds,
    tokens: job.tokens,
    temperature: job.temperature,
    topP: job.topP,
    seed: job.seed,
    stopIds: tokenizer.ends,
    onToken(id) {
      soFar.push(id)
      onText(continuation(soFar))
    },
  })
  model.dispose()
  return { text: continuation(ids), tokens: ids.length, tokensPerSecond }
}
