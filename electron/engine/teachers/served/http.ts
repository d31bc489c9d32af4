import { readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { badInput, failed, type ServedKey, type ServedLimits } from '#contract'

/** Tries of a request whose server is busy, ill or out of reach. */
const TRIES = 6
/** Before the second one; before each later one twice as long. */
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 60_000
/** Of an answer: a sequence of 131,072 tokens with 20 alternatives each takes some 200 MB. */
const LARGEST = 2 ** 28

/** A request that the server refused for good. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export interface Clock {
  now(): number
  sleep(milliseconds: number): Promise<unknown>
}
const CLOCK: Clock = { now: () => performance.now(), sleep }

export interface ServerOptions {
  url: string
  key?: ServedKey
  limits: ServedLimits
  tries?: number
  /** Milliseconds; tests have one that does not wait. */
  clock?: Clock
  /** Of the waits between tries; tests do not wait. */
  firstWaitMs?: number
}

/** Asks a server, no more often and no more at a time than it may be asked, again where that can help. */
export class Server {
  /** Requests that were sent, that were answered, and that were asked again. */
  requests = 0
  answers = 0
  retries = 0
  lastError: string | undefined
  lastAnswerAt: Date | undefined
  private began: number | undefined
  private readonly key: string | undefined
  private readonly clock: Clock
  private running = 0
  private readonly queue: (() => void)[] = []
  private next = 0

  /** @throws bad-input when there is no key where it should be */
  constructor(private readonly options: ServerOptions) {
    this.key = options.key && readKey(options.key)
    this.clock = options.clock ?? CLOCK
  }

  get url(): string {
    return this.options.url
  }

  /**
   * The JSON that it answers.
   *
   * @param path from the address on; `/generate` of another root than `/v1` is given whole
   * @param body posted, where there is one
   * @throws Refused when the server will not, failed when it does not answer
   */
  async ask(path: string, body?: unknown): Promise<unknown> {
    await this.enter()
    try {
      return await this.tryOften(path.startsWith('http') ? path : `${this.url}${path}`, body)
    } finally {
      this.running--
      this.queue.shift()?.()
    }
  }

  private async enter(): Promise<void> {
    while (this.running >= this.options.limits.concurrency)
      await new Promise<void>((resolve) => this.queue.push(resolve))
    this.running++
  }

  private async tryOften(url: string, body: unknown): Promise<unknown> {
    let wait = this.options.firstWaitMs ?? FIRST_WAIT_MS
    const { tries = TRIES } = this.options
    for (let left = tries - 1; ; left--) {
      const { answer, again, after = 0 } = await this.tryOnce(url, body)
      if (!again) {
        this.answers++
        this.lastAnswerAt = new Date()
        return parseAnswer(answer!, this.url)
      }
      this.lastError = again
      if (!left) throw failed(`server ${this.url}: ${again}, ${tries} times; expected an answer`)
      this.retries++
      await this.clock.sleep(Math.min(LONGEST_WAIT_MS, Math.max(wait, after)))
      wait *= 2
    }
  }

  /** Its answer, or why to ask again. */
  private async tryOnce(
    url: string,
    body: unknown,
  ): Promise<{ answer?: string; again?: string; after?: number }> {
    await this.turn()
    this.requests++
    this.began ??= this.clock.now()
    const { timeout } = this.options.limits
    try {
      const response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(this.key !== undefined && { authorization: `Bearer ${this.key}` }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        // The key is for this server alone.
        redirect: 'error',
        signal: AbortSignal.timeout(timeout * 1000),
      })
      const answer = await textOf(response)
      const { status } = response
      if (response.ok) return { answer }
      const again = status === 408 || status === 429 || status >= 500
      if (!again) throw new Refused(status, `HTTP ${status}: ${this.withoutKey(messageIn(answer))}`)
      const after = 1000 * Number(response.headers.get('retry-after') ?? 0)
      return { again: `HTTP ${status}`, after: Number.isFinite(after) ? after : 0 }
    } catch (error) {
      if (error instanceof Refused || error instanceof TooLarge) throw error
      if ((error as Error).name === 'TimeoutError') return { again: `no answer in ${timeout} s` }
      return { again: this.withoutKey(reasonOf(error as Error)) }
    }
  }

  /** Waits until the rate allows another request. */
  private async turn(): Promise<void> {
    const { perMinute } = this.options.limits
    if (!perMinute) return
    const { now, sleep } = this.clock
    const before = now()
    const at = Math.max(before, this.next)
    this.next = at + 60_000 / perMinute
    if (at > before) await sleep(at - before)
  }

  /** Since the first request. */
  get seconds(): number {
    return this.began === undefined ? 0 : (this.clock.now() - this.began) / 1000
  }

  /** Servers repeat a key that they do not know. */
  private withoutKey(text: string): string {
    return this.key ? text.replaceAll(this.key, '(key)') : text
  }
}

class TooLarge extends Error {}

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    if (bytes > LARGEST) throw new TooLarge(`an answer of more than ${LARGEST} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** @throws failed when it is no JSON */
export function parseAnswer(answer: string, url: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    // Python's json writes NaN and Infinity, which JSON does not have.
    const number = /[[:,]\s*(-?Infinity|NaN)\b/.exec(answer)?.[1]
    const what = number ? `a number is ${number}` : 'the answer is no JSON'
    throw failed(`server ${url}: ${what}; expected JSON with finite log-probabilities`)
  }
}

/** What a refusal says, shortened. */
function messageIn(answer: string): string {
  try {
    const { error, message, detail } = JSON.parse(answer) as Record<string, unknown>
    const text = (error as { message?: unknown } | undefined)?.message ?? message ?? detail ?? error
    return typeof text === 'string' ? text.slice(0, 300) : 'no reason given'
  } catch {
    return 'no reason given'
  }
}

/** Of what `fetch` throws, the cause tells more. */
function reasonOf(error: Error): string {
  const { code, message } = (error.cause ?? error) as Error & { code?: string }
  return code ? `the connection failed (${code})` : `the connection failed: ${message}`
}

/**
 * The key that a server is asked with.
 *
 * @throws bad-input when it is not there, or others can read its file
 */
export function readKey(key: ServedKey): string {
  if ('env' in key) {
    const value = process.env[key.env]?.trim()
    if (value) return checkedKey(value, `$${key.env}`)
    throw badInput('the variable is not set', { field: key.env, expected: "the server's key" })
  }
  const { file } = key
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) throw badInput('there is no such file', { file, expected: "the server's key" })
  if (process.platform !== 'win32' && stat.mode & 0o077)
    throw badInput('others can read the key', { file, expected: 'mode 600' })
  return checkedKey(readFileSync(file, 'utf8').split('\n')[0]!.trim(), file)
}

/** A header holds visible ASCII alone; what `fetch` says of another would repeat it. */
function checkedKey(key: string, file: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw badInput('this is no key', { file, expected: 'one line of letters, digits and signs' })
}
