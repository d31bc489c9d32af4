import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { badInput, failed, hubNameText, type HubName, parse, type RetortError } from '#contract'
import { Passing, send, Watch, type Asked } from './request'
import type { HubSettings } from './settings'

/** Tries after the first without a byte in between. */
const RETRIES = 4
const FIRST_WAIT_MS = 1000
/** Who asks for a longer pause than this is asked again by hand. */
const LONGEST_WAIT_MS = 120_000

const listing = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/, 'expected a commit'),
  siblings: z.array(z.object({ rfilename: z.string() })),
})

/** A file at a commit; its digest is SHA-256 of the bytes, or git's SHA-1 of the blob. */
export interface HubFile {
  file: string
  commit: string
  bytes: number
  digest: string
}

/** A model on the Hub. What goes by (no answer, 429, 5xx) is tried again, with growing pauses. */
export class HubClient {
  /** Whether the Hub has answered: then a network that is away comes back, maybe. */
  private answered = false
  readonly text: string

  /** @param onWait hears why it is waited, and for how many seconds */
  constructor(
    private readonly settings: HubSettings,
    readonly name: HubName,
    private readonly onWait: (why: string, seconds: number) => void,
    private readonly firstWaitMs = FIRST_WAIT_MS,
  ) {
    this.text = hubNameText(name)
  }

  /** The revision's commit and the names of its files. */
  async list(): Promise<{ commit: string; files: string[] }> {
    const { org, name, revision } = this.name
    const url = `${this.settings.endpoint}/api/models/${org}/${name}/revision/${encodeURIComponent(revision)}`
    const text = await this.ask({ method: 'GET', url }, 'the revision', (answer) => answer.text())
    const { sha, siblings } = parse(listing, json(text, url), url)
    return { commit: sha, files: siblings.map(({ rfilename }) => rfilename) }
  }

  /**
   * Size and digest of a file, from the headers of its address.
   *
   * @throws failed when the Hub gives none: what came could not be checked
   */
  async describe(commit: string, file: string): Promise<HubFile> {
    let linked: string | null = null
    let size: string | null = null
    const enough = ({ headers }: Response) => {
      linked ??= headers.get('x-linked-etag')
      size ??= headers.get('x-linked-size')
      return linked !== null && size !== null
    }
    const url = this.addressOf(commit, file)
    return this.ask({ method: 'HEAD', url, enough }, file, ({ headers }) => {
      enough(new Response(null, { headers }))
      const digest = (linked ?? headers.get('etag') ?? '')
        .replace(/^W\//, '')
        .replaceAll('"', '')
        .toLowerCase()
      const bytes = Number(size ?? headers.get('content-length') ?? Number.NaN)
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(digest) || !Number.isSafeInteger(bytes) || bytes < 0)
        throw failed(`${this.text}: the Hub gives no size and digest of ${file} to check it by`)
      return { file, commit, bytes, digest }
    })
  }

  /**
   * A file's content from byte `from` on.
   *
   * @param take reads the answer; `progressed` is called for every byte that came: the tries are counted anew
   */
  body<T>(
    { commit, file }: HubFile,
    from: () => number,
    take: (answer: Response, watch: Watch, progressed: () => void) => Promise<T>,
  ): Promise<T> {
    const asked = (): Asked => {
      const start = from()
      return {
        method: 'GET',
        url: this.addressOf(commit, file),
        headers: start ? { range: `bytes=${start}-` } : {},
      }
    }
    return this.persist(async (progressed) =>
      this.once(asked(), file, (a, watch) => take(a, watch, progressed)),
    )
  }

  private addressOf(commit: string, file: string): string {
    const { org, name } = this.name
    return `${this.settings.endpoint}/${org}/${name}/resolve/${commit}/${encodeURIComponent(file)}`
  }

  private ask<T>(asked: Asked, what: string, take: (answer: Response) => T | Promise<T>): Promise<T> {
    return this.persist(() => this.once(asked, what, take))
  }

  private async once<T>(
    asked: Asked,
    what: string,
    take: (answer: Response, watch: Watch) => T | Promise<T>,
  ): Promise<T> {
    const watch = new Watch()
    try {
      const answer = await send(this.settings, asked, watch)
      this.answered = true
      if (answer.status < 400) return await take(answer, watch)
      await answer.body?.cancel()
      throw this.refusal(answer, what)
    } finally {
      watch.end()
    }
  }

  private async persist<T>(work: (progressed: () => void) => Promise<T>): Promise<T> {
    let tries = 0
    for (;;) {
      try {
        return await work(() => (tries = 0))
      } catch (error) {
        if (!(error instanceof Passing)) throw error
        if (error.unreachable && !this.answered)
          throw failed(
            `${this.text} is not in the cache (${this.settings.cache}), and ${error.message}`,
            error,
          )
        const wait = error.waitMs ?? this.firstWaitMs * 2 ** tries
        if (wait > LONGEST_WAIT_MS)
          throw failed(`${this.text}: ${error.message}, and asks to wait ${Math.ceil(wait / 1000)} s`, error)
        if (tries++ >= RETRIES)
          throw failed(
            `${this.text}: ${error.message}, ${tries} times in a row; what came so far is kept`,
            error,
          )
        this.onWait(error.message, wait / 1000)
        await sleep(wait)
      }
    }
  }

  private refusal({ status, headers }: Response, what: string): RetortError | Passing {
    const { endpoint, token } = this.settings
    const { org, name, revision } = this.name
    const page = `${endpoint}/${org}/${name}`
    const code = headers.get('x-error-code') ?? ''
    if (code === 'GatedRepo' || status === 403)
      return badInput('the model is gated: its owners say who may read it', {
        file: this.text,
        expected: `${token ? 'a token (HF_TOKEN)' : 'HF_TOKEN'} of an account that was given access on ${page}`,
      })
    // The Hub says so to strangers of what is not there, too.
    if (status === 401)
      return badInput(
        token ? 'the Hub does not take the token for it' : 'it is gated, private or not there at all',
        {
          file: this.text,
          expected: `the name of a model of ${endpoint}, and HF_TOKEN of an account that may read it`,
        },
      )
    if (status === 404 && code !== 'RevisionNotFound' && what === 'the revision')
      return badInput(`there is no such model, or no revision "${revision}" of it`, {
        file: this.text,
        expected: `a model of ${endpoint}`,
      })
    if (status === 404)
      return badInput(
        code === 'RevisionNotFound' ? `there is no revision "${revision}"` : `there is no ${what}`,
        {
          file: this.text,
          expected: `what is there on ${page}`,
        },
      )
    const host = new URL(endpoint).host
    if (status === 429) return new Passing(`${host} says that it is asked too often (429)`, pauseOf(headers))
    if (status === 408 || status >= 500)
      return new Passing(`${host} answers ${status} for ${what}`, pauseOf(headers))
    return failed(`${this.text}: ${host} answers ${status} for ${what}`)
  }
}

/** `Retry-After`, in seconds or as a date. */
function pauseOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (!text) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

function json(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw failed(`${url} answers with something that is not JSON: is it a Hub?`)
  }
}
