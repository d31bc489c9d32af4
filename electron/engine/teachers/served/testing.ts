import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { ServedDialect } from '#contract'
import type { TextTokenizer } from '../../data/textTokenizer'

/** What goes wrong with one request. */
export type Fault = '429' | '500' | 'cut' | 'slow' | 'fewer' | 'NaN' | 'wrong-id' | 'few-alternatives' | '401'

/** A request to a server, and what it answered. */
export interface Exchange {
  path: string
  body?: unknown
  status: number
  answer: unknown
}

export interface DoubleOptions {
  dialect: ServedDialect
  /** Says these answers in place of its own. */
  recorded?: readonly Exchange[]
  /** Of ids, the log-probabilities of what follows each, [ids][vocab]. */
  say(ids: readonly number[]): Promise<Float32Array[]>
  /** Takes text in place of ids, and puts answers one place late, as llama-cpp-python does. */
  text?: { tokenizer: TextTokenizer; beginning: string }
  /** Most alternatives that it names. */
  most?: number
  /** Ids that it puts before a prompt. */
  before?: number[]
  /** Refuses whoever has another one, and repeats what it was given. */
  key?: string
}

/** A server in three dialects, which answers from a real teacher, and goes wrong when it is told to. */
export class Double {
  /** Faults of the next requests, the first first. */
  readonly faults: Fault[] = []
  /** Tokens of the prompts that it has answered. */
  tokens = 0
  requests = 0
  /** Requests at once, at most. */
  atOnce = 0
  private running = 0
  private readonly server: HttpServer

  constructor(private readonly options: DoubleOptions) {
    this.server = createServer((request, response) => {
      this.running++
      this.atOnce = Math.max(this.atOnce, this.running)
      void this.answer(request)
        .then(({ status, body }) => {
          this.running--
          if (status === 0) return response.destroy()
          if (status === -1) return undefined
          response.writeHead(status, { 'content-type': 'application/json' }).end(body)
        })
        .catch((error: Error) => response.writeHead(418).end(JSON.stringify({ error: error.message })))
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage): Promise<{ status: number; body?: string }> {
    let text = ''
    for await (const part of request) text += String(part)
    const { key } = this.options
    const given = request.headers.authorization
    if (key !== undefined && given !== `Bearer ${key}`)
      return { status: 401, body: JSON.stringify({ error: { message: `no such key: ${given}` } }) }
    const { recorded } = this.options
    if (request.url === '/v1/models' && recorded) return replayed(recorded, request.url)
    if (request.url === '/v1/models') {
      const model = { id: 'tiny', max_model_len: 64 }
      return { status: 200, body: JSON.stringify({ data: [model] }) }
    }
    this.requests++
    const fault = this.faults.shift()
    if (fault === 'cut') return { status: 0 }
    if (fault === 'slow') return { status: -1 }
    if (fault === '429' || fault === '500') return { status: Number(fault), body: '{}' }
    if (fault === '401') return { status: 401, body: JSON.stringify({ error: { message: `key ${given}` } }) }
    const body = JSON.parse(text) as Record<string, unknown>
    if (recorded) return replayed(recorded, request.url!, body, fault)
    const refused = (message: string) => ({ status: 400, body: JSON.stringify({ error: { message } }) })
    const { dialect, most = 20 } = this.options
    const own = request.url === '/generate' ? 'sglang' : 'prompt_logprobs' in body ? 'vllm' : 'completions'
    if (own === 'sglang' && dialect !== 'sglang') return { status: 404, body: '{}' }
    const k = Number(body.prompt_logprobs ?? body.top_logprobs_num ?? body.logprobs)
    if (k > most) return refused(`at most ${most} log-probabilities`)
    const prompt = (body.prompt ?? body.input_ids ?? body.text) as string | number[]
    const { text: textual } = this.options
    if (textual && typeof prompt !== 'string') return refused('prompt: a string')
    const ids = [...(this.options.before ?? []), ...this.read(prompt)]
    this.tokens += ids.length
    // One that does not know a field does not heed it.
    const answer =
      own === dialect ? await this.said(ids, k, fault, body.echo !== false) : { choices: [{ text: '' }] }
    const json = JSON.stringify(answer)
    return { status: 200, body: fault === 'NaN' ? json.replace(/-\d+\.\d+/, 'NaN') : json }
  }

  private read(prompt: string | number[]): number[] {
    if (typeof prompt !== 'string') return prompt
    const { tokenizer, beginning } = this.options.text!
    const begins = prompt.startsWith(beginning)
    const rest = [...tokenizer.encode(begins ? prompt.slice(beginning.length) : prompt)]
    return begins ? [tokenizer.bos, ...rest] : rest
  }

  private async said(ids: number[], k: number, fault: Fault | undefined, echo: boolean): Promise<unknown> {
    const rows = await this.options.say(ids)
    const few = fault === 'few-alternatives' ? 1 : k
    const top = (row: Float32Array) => [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, few)
    // What stands beside token i: its own probability, and the likeliest in its place.
    let at = ids.map((id, i) => {
      if (i === 0) return undefined
      const row = rows[i - 1]!
      return [...new Set([...top(row), id])].map((one) => ({ id: one, p: row[one]! }))
    })
    if (fault === 'wrong-id') at = at.map((said) => said?.map(({ id, p }) => ({ id: id + 10_000, p })))
    if (fault === 'fewer') at = at.slice(0, -2)
    const usage = { prompt_tokens: ids.length }
    const { dialect, text } = this.options
    if (dialect === 'vllm') {
      const records = at.map((said) =>
        said ? Object.fromEntries(said.map(({ id, p }) => [id, { logprob: p, rank: 1 }])) : null,
      )
      return { usage, choices: [{ text: '', prompt_logprobs: records }] }
    }
    if (dialect === 'sglang') {
      const meta = {
        prompt_tokens: ids.length,
        input_token_logprobs: at.map((_, i) => [i ? rows[i - 1]![ids[i]!]! : null, ids[i]!, null]),
        input_top_logprobs: at.map((said) => said?.slice(0, k).map(({ id, p }) => [p, id, null]) ?? null),
      }
      return { text: '', meta_info: meta }
    }
    const { tokenizer, beginning } = text!
    const textOf = (id: number) => (id === tokenizer.bos ? beginning : tokenizer.decode([id]))
    const record = (row: Float32Array) => Object.fromEntries(top(row).map((id) => [textOf(id), row[id]!]))
    if (!echo)
      return { usage, choices: [{ logprobs: { tokens: ['x'], top_logprobs: [record(rows.at(-1)!)] } }] }
    const left = ids[0] === tokenizer.bos ? 1 : 0
    const tokens = ids.slice(left).map(textOf)
    const late = tokens.map((_, j) => (j ? record(rows[j]!) : null))
    const cut = fault === 'fewer' ? -2 : undefined
    return {
      usage,
      choices: [{ logprobs: { tokens: tokens.slice(0, cut), top_logprobs: late.slice(0, cut) } }],
    }
  }
}

/** A token a letter; 0 stands before documents and has no text. */
export function letters(vocab: number): TextTokenizer {
  const bytes = (id: number) => (id ? Buffer.from(String.fromCharCode(96 + id)) : new Uint8Array())
  return {
    vocab,
    bos: 0,
    ends: [0],
    encode: (text) => Int32Array.from(Buffer.from(text), (byte) => byte - 96),
    decode: (ids) => Buffer.concat(Array.from(ids, bytes)).toString(),
    piece: bytes,
    special: () => undefined,
  }
}

/** The recorded answer to a request, or what becomes of it by a fault. */
function replayed(
  recorded: readonly Exchange[],
  path: string,
  body?: unknown,
  fault?: Fault,
): { status: number; body: string } {
  const found = recorded.find((one) => isDeepStrictEqual([one.path, one.body ?? undefined], [path, body]))
  if (!found) return { status: 418, body: JSON.stringify({ error: 'this was not recorded' }) }
  const answer = fault === 'fewer' || fault === 'wrong-id' ? spoilt(found.answer, fault) : found.answer
  const json = JSON.stringify(answer)
  return { status: found.status, body: fault === 'NaN' ? json.replace(/-\d+\.\d+/, 'NaN') : json }
}

/** Without the last two of every list of tokens, or with tokens of another vocabulary, in whatever form. */
function spoilt(value: unknown, fault: 'fewer' | 'wrong-id'): unknown {
  if (Array.isArray(value)) {
    const [p, id, ...more] = value as unknown[]
    if (fault === 'wrong-id' && typeof p !== 'string' && Number.isInteger(id) && value.length === 3)
      return [p, (id as number) + 10_000, ...more]
    if (fault === 'wrong-id' && typeof p === 'string') return [...value].reverse()
    const kept = fault === 'fewer' && value.length > 3 ? value.slice(0, -2) : value
    return kept.map((one) => spoilt(one, fault))
  }
  if (typeof value !== 'object' || value === null) return value
  const renamed = (key: string) =>
    fault === 'wrong-id' && /^\d+$/.test(key) ? String(Number(key) + 10_000) : key
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [renamed(key), spoilt(one, fault)]))
}
