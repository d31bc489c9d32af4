import { ZodError } from 'zod'
import {
  expectedBy,
  failed,
  mostTokens,
  RetortError,
  type ServedModelConfig,
  type ServerHealth,
} from '#contract'
import { dialects, type Alternatives, type Said } from './dialects'
import { Refused, type Server } from './http'
import type { ServedText } from './text'

/** What the client has to know of a server. */
export type ServedTeacher = Omit<ServedModelConfig, 'family' | 'context'>

/** Of all probabilities that are named, the sum may be so much above 1 by rounding. */
const ROUNDING = 0.02

/** What a run may ask of a server is asked: it stops where it is, and can be resumed. */
export class BoundReached extends Error {}

/** Asks a server what follows each token of a sequence, and believes no answer that it has not checked. */
export class ServedClient {
  /** Tokens of the prompts that were allowed, and of those that were answered. */
  private allowed = 0
  private answered = 0
  /** What follows a text of one token, for servers that do not say it with the others. */
  private readonly firsts = new Map<number, Promise<Alternatives>>()

  /** @param text for a server that takes text, or names tokens by it */
  constructor(
    readonly server: Server,
    private readonly teacher: ServedTeacher,
    private readonly text: ServedText,
  ) {}

  /**
   * Called before so many sequences of a length are asked: all or none of them.
   *
   * @throws BoundReached when the limits do not allow it
   */
  allow(sequences: number, length: number): void {
    const { limits } = this.teacher
    const tokens = sequences * (length + 1)
    const most = mostTokens(limits)
    if (this.allowed + tokens > most) {
      const bound = limits.cost === undefined || most === limits.tokens ? 'tokens' : 'cost'
      const price = bound === 'cost' ? ` at ${limits.price} a million` : ''
      throw new BoundReached(
        `server ${this.server.url}, model "${this.teacher.model}": limits.${bound} is reached: ${this.allowed} tokens were asked, ${tokens} more would be above ${limits[bound]}${price}; resumed, the run may ask as many again`,
      )
    }
    this.allowed += tokens
  }

  /** How it does, for a person. */
  health(teacher: string): ServerHealth {
    const { answers, retries, lastError, lastAnswerAt, seconds } = this.server
    const { price } = this.teacher.limits
    return {
      ...{ teacher, tokens: this.answered, answers, retries },
      ...(lastError !== undefined && { lastError }),
      ...(lastAnswerAt && { lastAnswerAt: lastAnswerAt.toISOString() }),
      tokensPerSecond: seconds > 0 ? this.answered / seconds : 0,
      ...(price !== undefined && { cost: (this.answered * price) / 1e6 }),
    }
  }

  /**
   * @param ids of a sequence
   * @returns what follows each of them: at least the `k` likeliest that can be told apart
   * @throws failed in one line that names the server and what was expected of it
   */
  async ask(ids: readonly number[]): Promise<Alternatives[]> {
    if (!this.teacher.ids) {
      const read = this.text.withoutPadding(ids)
      if (read.length < ids.length) return this.padded(read, ids.length)
    }
    // One token more, whatever it is: what stands beside it is what follows the last.
    const said = await this.said(this.text.oneMore(ids, this.teacher.ids, this.server.url), true)
    return this.teacher.late ? this.lateOnes(ids, said) : this.inPlace(ids, said)
  }

  /** Of what is behind a text nothing is said, and nobody looks at it. */
  private async padded(ids: readonly number[], length: number): Promise<Alternatives[]> {
    const said = ids.length ? await this.ask(ids) : []
    return [...said, ...Array.from({ length: length - ids.length }, () => new Map<number, number>())]
  }

  /** A server's answer to ids; of one that takes text, to what they are as text. */
  async said(asked: readonly number[], echo: boolean): Promise<Said> {
    const { model, k, dialect } = this.teacher
    const { path, body, read } = dialects[dialect]
    const prompt = this.teacher.ids ? asked : this.text.of(asked, this.server.url)
    const request = body(model, prompt, k) as Record<string, unknown>
    const { url } = this.server
    try {
      const answer = await this.server.ask(path(url), echo ? request : { ...request, echo: false })
      const said = read(answer, (text) => this.text.idOf(text))
      this.answered += asked.length
      if (said.tokens !== undefined && said.tokens !== asked.length) {
        throw this.wrong(
          `it read ${said.tokens} tokens`,
          `${asked.length}, those it was given, and none of its own before them`,
        )
      }
      return said
    } catch (error) {
      if (error instanceof RetortError) throw error
      if (error instanceof Refused) throw this.wrong(error.message, 'an answer with log-probabilities')
      if (!(error instanceof ZodError)) throw this.wrong((error as Error).message, 'an answer')
      const issue = error.issues[0]!
      throw this.wrong(
        `its answer's ${issue.path.join('.') || 'content'} is not as it should be`,
        expectedBy(issue),
      )
    }
  }

  /** What stands beside a token is what could have stood there. */
  private inPlace(ids: readonly number[], { at, own }: Said): Alternatives[] {
    if (at.length < ids.length + 1)
      throw this.wrong(`it answers for ${at.length} tokens`, `${ids.length + 1}`)
    return ids.map((_, t) => {
      const next = ids[t + 1]
      const named = own?.[t + 1]
      if (next !== undefined && named !== undefined && named !== next)
        throw this.wrong(`its token ${t + 2} is ${named}`, `${next}, which it was given`)
      // The last is followed by a token that is nobody's.
      return this.checked(at[t + 1], t, this.teacher.dialect === 'completions' ? undefined : next)
    })
  }

  /** What stands beside a token is what follows it, beside the first nothing; a beginning of text is left out. */
  private async lateOnes(ids: readonly number[], { at, own }: Said): Promise<Alternatives[]> {
    const left = ids[0] === this.text.bos ? 1 : 0
    if (at.length < ids.length + 1 - left)
      throw this.wrong(`it answers for ${at.length} tokens`, `${ids.length + 1 - left}`)
    const first = await this.first(ids[0]!)
    return ids.map((id, t) => {
      const named = own?.[t - left]
      if (named !== undefined && named !== id)
        throw this.wrong(`its token ${t + 1} is ${named}`, `${id}, which it was given`)
      return t === 0 ? first : this.checked(at[t], t)
    })
  }

  private first(id: number): Promise<Alternatives> {
    const known = this.firsts.get(id)
    if (known) return known
    const asked = this.said([id], false).then(({ at }) => this.checked(at[0], 0))
    this.firsts.set(id, asked)
    asked.catch(() => this.firsts.delete(id))
    return asked
  }

  /** @param next the token that stands there, which is always among them */
  private checked(said: Alternatives | undefined, t: number, next?: number): Alternatives {
    const { vocab, k, ids, dialect } = this.teacher
    const place = `token ${t + 1}`
    if (!said) throw this.wrong(`it says nothing of what follows ${place}`, 'log-probabilities')
    let sum = 0
    for (const [id, p] of said) {
      if (!Number.isInteger(id) || id < 0 || id >= vocab)
        throw this.wrong(`it names id ${id} after ${place}`, `ids from 0 to ${vocab - 1}, its tokenizer's`)
      if (!Number.isFinite(p)) throw this.wrong(`it gives ${p} after ${place}`, 'a finite log-probability')
      sum += Math.exp(p)
    }
    if (sum > 1 + ROUNDING)
      throw this.wrong(`the probabilities after ${place} add up to ${sum.toFixed(3)}`, 'at most 1')
    if (next !== undefined && !said.has(next))
      throw this.wrong(`it does not say how likely token ${t + 2} is`, `id ${next} among its alternatives`)
    const least = Math.min(k, vocab)
    if (ids && dialect !== 'completions' && said.size < least)
      throw this.wrong(`it names ${said.size} alternatives after ${place}`, `${least}`)
    return said
  }

  private wrong(what: string, expected: string): RetortError {
    return failed(`server ${this.server.url}, model "${this.teacher.model}": ${what}; expected ${expected}`)
  }
}

/** Of a sequence, alternatives as a distribution over the vocabulary: what is not named shares the rest evenly. */
export function spread(said: Alternatives, vocab: number, row: Float32Array): void {
  let sum = 0
  // As float32, which is what is kept of them.
  for (const p of said.values()) sum += Math.exp(Math.fround(p))
  const others = vocab - said.size
  row.fill(others && sum < 1 ? Math.log((1 - sum) / others) : NEVER)
  for (const [id, p] of said) row[id] = p
}

/** A logarithm whose exponential is 0 in float32. */
const NEVER = -1e4

/** Between two answers of one model: servers compute in half precision, and in batches that differ. */
const ALIKE = 0.1
/** Nats below which an alternative is too unlikely to be compared. */
const LIKELY = -5

/** Whether what is likely in both is as likely. */
export function alike(some: Alternatives, others: Alternatives): boolean {
  return [...some].every(([id, p]) => {
    const other = others.get(id)
    return other === undefined || p < LIKELY || Math.abs(p - other) < ALIKE
  })
}
