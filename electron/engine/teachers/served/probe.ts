import { z } from 'zod'
import { badInput, RetortError, type ServedImport, type ServedModelConfig } from '#contract'
import { ServedClient, type ServedTeacher } from './client'
import type { Alternatives } from './dialects'
import { Refused, Server } from './http'
import type { ServedText } from './text'

/** What a server is able to do, as far as it showed. */
export type Probed = Omit<ServedModelConfig, 'vocab'>

/** Alternatives a token that are asked for, the most first: vLLM allows 20 unless it is told otherwise. */
const COUNTS = [128, 64, 20, 10, 5, 2, 1]
/** Enough that the likeliest of two answers are among those of both. */
const COMPARED = 5
/** Of `max_model_len`: the token behind a sequence, and the one that a server has to write. */
const BESIDE = 2

/**
 * Finds out how a server is asked for what follows the tokens of a prompt, and how much it says.
 *
 * @param url as `parseServedUrl` gives it
 * @param ids of a few words of text, at least three
 * @throws bad-input naming what the server lacks, failed when it cannot be reached
 */
export async function probeServer(
  url: string,
  { model, key, topK, limits }: ServedImport,
  text: ServedText,
  vocab: number,
  ids: readonly number[],
): Promise<Probed> {
  const server = new Server({ url, key, limits, tries: 3 })
  const context = await contextOf(server, model)
  const common = { url, model, vocab, limits, ...(key && { key }) }
  const reasons: string[] = []
  const ways = [
    { dialect: 'vllm', ids: true },
    { dialect: 'sglang', ids: true },
    { dialect: 'completions', ids: true },
    { dialect: 'completions', ids: false },
  ] as const
  for (const way of ways) {
    const attempt = async (k: number): Promise<ServedTeacher | undefined> => {
      const teacher = { ...common, ...way, k, late: false }
      try {
        const late = way.dialect === 'completions' && (await isLate(server, teacher, text, ids))
        await new ServedClient(server, { ...teacher, late }, text).ask(ids)
        return { ...teacher, late }
      } catch (error) {
        if (!(error instanceof RetortError)) throw error
        reasons.push(error.message)
        return undefined
      }
    }
    if (!(await attempt(1))) continue
    for (const k of topK ? [topK] : COUNTS) {
      const found = await attempt(Math.min(k, vocab))
      if (!found) continue
      const { vocab: _, ...probed } = found
      return { family: 'served', ...probed, ...(context !== undefined && { context }) }
    }
    throw badInput(`it does not name ${topK ?? 'any'} alternatives a token: ${reasons.at(-1)}`, {
      file: url,
      field: '--top-k',
      expected: 'fewer, or a server that allows more (vLLM: --max-logprobs)',
    })
  }
  throw badInput(`it tells no log-probabilities of a prompt (${reasons.at(-1)})`, {
    file: url,
    expected: 'prompt_logprobs of vLLM, input_top_logprobs of SGLang, or completions with echo and logprobs',
  })
}

const models = z.object({
  data: z.array(z.object({ id: z.string(), max_model_len: z.number().int().positive().nullish() })),
})

/** Tokens of the longest sequence, where the server tells; it has to have the model, where it tells which it has. */
async function contextOf(server: Server, model: string): Promise<number | undefined> {
  let answer: unknown
  try {
    answer = await server.ask('/models')
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.status !== 401 && error.status !== 403) return undefined
    throw badInput(error.message, {
      file: server.url,
      expected: 'a key that it knows (--key-env, --key-file)',
    })
  }
  const known = models.safeParse(answer)
  if (!known.success) return undefined
  const own = known.data.data.find(({ id }) => id === model)
  if (own) return own.max_model_len ? own.max_model_len - BESIDE : undefined
  throw badInput(`it has no model "${model}"`, {
    file: server.url,
    field: '--model',
    expected: known.data.data.map(({ id }) => id).join(', ') || 'a server with a model',
  })
}

/** Whether what stands beside a token is what follows it: what is written after two tokens stands beside one of them. */
async function isLate(
  server: Server,
  teacher: ServedTeacher,
  text: ServedText,
  ids: readonly number[],
): Promise<boolean> {
  const client = new ServedClient(server, { ...teacher, k: COMPARED }, text)
  const two = ids.slice(0, 2)
  const echoed = await client.said(text.oneMore(two, teacher.ids, server.url), true)
  const written = await client.said(two, false)
  const [beside, behind] = [1, 2].map((place) => distance(written.at[0], echoed.at[place]))
  return beside! < behind!
}

/** Mean difference of the probabilities of what both name. */
function distance(some: Alternatives = new Map(), others: Alternatives = new Map()): number {
  const both = [...some].filter(([id]) => others.has(id))
  const sum = both.reduce((all, [id, p]) => all + Math.abs(Math.exp(p) - Math.exp(others.get(id)!)), 0)
  return both.length ? sum / both.length : Infinity
}
