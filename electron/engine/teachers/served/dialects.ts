import { z } from 'zod'
import type { ServedModelConfig } from '#contract'

/** What follows a token: some ids with their log-probabilities at temperature 1, nats. */
export type Alternatives = ReadonlyMap<number, number>

/** A prompt as its server takes it: ids, or text. */
export type Prompt = readonly number[] | string

/** How a server is asked, and its answer read. */
export interface Dialect {
  /** @param url the server's, which ends in /v1 */
  path(url: string): string
  body(model: string, prompt: Prompt, k: number): unknown
  /**
   * @param idOf the token of a text, where one alone has it
   * @returns of each token of the prompt what was said where it stands; undefined where nothing was
   * @throws ZodError when it is no such answer
   */
  read(answer: unknown, idOf: (text: string) => number | undefined): Said
}

export interface Said {
  /** Tokens of the prompt, where the server counts them. */
  tokens?: number
  at: (Alternatives | undefined)[]
  /** The prompt's own tokens, where the server names them. */
  own?: (number | undefined)[]
}

/** Rounding puts what is certain a little above 0. */
const logP = z.number().max(1e-3)
const usage = z.object({ prompt_tokens: z.number().int() }).optional()
const ONE_MORE = { max_tokens: 1, temperature: 0 }

const vllmAnswer = z.object({
  usage,
  choices: z.tuple([
    z.object({
      prompt_logprobs: z.array(z.record(z.string(), z.object({ logprob: logP })).nullable()),
    }),
  ]),
})

/** `prompt_logprobs`: of each token a record from ids to log-probabilities; the token itself is always among them. */
const vllm: Dialect = {
  path: (url) => `${url}/completions`,
  body: (model, prompt, k) => ({ model, prompt, ...ONE_MORE, prompt_logprobs: k }),
  read(answer) {
    const { choices, usage } = vllmAnswer.parse(answer)
    const at = choices[0].prompt_logprobs.map(
      (said) => said && new Map(Object.entries(said).map(([id, { logprob }]) => [Number(id), logprob])),
    )
    return { tokens: usage?.prompt_tokens, at: at.map((said) => said ?? undefined) }
  },
}

/** Log-probability, id, and text where it was asked for. */
const sglangToken = z.tuple([logP, z.number().int()], z.unknown())
const sglangAnswer = z.object({
  meta_info: z.object({
    prompt_tokens: z.number().int(),
    input_token_logprobs: z.array(z.tuple([logP.nullable(), z.number().int()], z.unknown())),
    input_top_logprobs: z.array(z.array(sglangToken).nullable()),
  }),
})

/** `/generate` beside `/v1`: `input_top_logprobs`, and the prompt's own tokens in `input_token_logprobs`. */
const sglang: Dialect = {
  path: (url) => `${url.replace(/\/v1$/, '')}/generate`,
  body: (_, prompt, k) => ({
    ...(typeof prompt === 'string' ? { text: prompt } : { input_ids: prompt }),
    sampling_params: { max_new_tokens: 1, temperature: 0 },
    return_logprob: true,
    logprob_start_len: 0,
    top_logprobs_num: k,
  }),
  read(answer) {
    const { prompt_tokens, input_token_logprobs, input_top_logprobs } = sglangAnswer.parse(answer).meta_info
    const at = input_top_logprobs.map((said, i) => {
      const [own, id] = input_token_logprobs[i] ?? []
      if (!said || own === undefined || own === null) return undefined
      return new Map([[id!, own], ...said.map(([p, other]) => [other, p] as const)])
    })
    return { tokens: prompt_tokens, at, own: input_token_logprobs.map(([, id]) => id) }
  },
}

const completionsAnswer = z.object({
  usage,
  choices: z.tuple([
    z.object({
      logprobs: z.object({
        tokens: z.array(z.string()),
        top_logprobs: z.array(z.record(z.string(), logP).nullable()),
      }),
    }),
  ]),
})

/** `echo` with `logprobs`: of each token a record from texts to log-probabilities. */
const completions: Dialect = {
  path: (url) => `${url}/completions`,
  body: (model, prompt, k) => ({ model, prompt, ...ONE_MORE, echo: true, logprobs: k }),
  read(answer, idOf) {
    const { choices, usage } = completionsAnswer.parse(answer)
    const { tokens, top_logprobs } = choices[0].logprobs
    const at = top_logprobs.map((said) => {
      if (!said) return undefined
      const named = new Map<number, number>()
      for (const [text, p] of Object.entries(said)) {
        const id = idOf(text)
        if (id !== undefined) named.set(id, p)
      }
      return named
    })
    return { tokens: usage?.prompt_tokens, at, own: tokens.map(idOf) }
  },
}

export const dialects: Record<ServedModelConfig['dialect'], Dialect> = { vllm, sglang, completions }
