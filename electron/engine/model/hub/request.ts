import { failed } from '#contract'
import type { HubSettings } from './settings'

const REDIRECTS = [301, 302, 303, 307, 308]
const MOST_REDIRECTS = 8
/** Without a byte for so long, a connection counts as broken. */
const STALL_MS = 30_000

/** What of a connection goes by: it may be tried again. */
export class Passing extends Error {
  /**
   * @param waitMs what the other side asks for
   * @param unreachable there is no way to the host at all
   */
  constructor(
    message: string,
    readonly waitMs?: number,
    readonly unreachable = false,
  ) {
    super(message)
  }
}

/** Ends a connection on which nothing comes any more. */
export class Watch {
  private readonly abort = new AbortController()
  private readonly timer = setTimeout(() => this.abort.abort(), STALL_MS)

  get signal(): AbortSignal {
    return this.abort.signal
  }

  beat(): void {
    this.timer.refresh()
  }

  end(): void {
    clearTimeout(this.timer)
  }
}

export interface Asked {
  method: 'GET' | 'HEAD'
  url: string
  headers?: Record<string, string>
  /** Whether an answer of the way is enough: a redirect to somewhere else need not be followed then. */
  enough?(answer: Response): boolean
}

/**
 * One request. Redirects are followed by hand: to http and https alone, and the token goes to the endpoint's own
 * origin alone, not to the servers of files that it sends us to.
 *
 * @throws Passing when there is no connection, or it breaks
 */
export async function send({ endpoint, token }: HubSettings, asked: Asked, watch: Watch): Promise<Response> {
  const own = new URL(endpoint).origin
  let url = new URL(asked.url)
  for (let i = 0; i <= MOST_REDIRECTS; i++) {
    const answer = await connect(url, {
      method: asked.method,
      redirect: 'manual',
      signal: watch.signal,
      headers: {
        'user-agent': 'retort',
        // A length and a digest are those of the bytes as they are.
        'accept-encoding': 'identity',
        ...asked.headers,
        ...(token && url.origin === own && { authorization: `Bearer ${token}` }),
      },
    })
    watch.beat()
    const location = REDIRECTS.includes(answer.status) && answer.headers.get('location')
    if (!location || asked.enough?.(answer)) return answer
    await answer.body?.cancel()
    url = targetOf(location, url)
  }
  throw failed(`${asked.url} is redirected more than ${MOST_REDIRECTS} times`)
}

function targetOf(location: string, from: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (target && /^https?:$/.test(target.protocol) && !target.username && !target.password) return target
  throw failed(`${from.host} sends us to an address that is not followed; expected http:// or https://`)
}

async function connect(url: URL, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url.href, options)
  } catch (error) {
    throw brokenConnection(url.host, error)
  }
}

/** There is no such host, or nobody listens: another try in some seconds finds the same. */
const UNREACHABLE = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EACCES',
  'EPERM',
]

/** What fetch throws where a connection is not there or breaks, in words. */
export function brokenConnection(host: string, error: unknown): Passing {
  if (error instanceof Error && error.name === 'AbortError')
    return new Passing(`${host} sent nothing for ${STALL_MS / 1000} s`)
  const codes = codesOf(error)
  const unreachable = codes.find((code) => UNREACHABLE.includes(code))
  if (unreachable) return new Passing(`${host} cannot be reached (${unreachable})`, undefined, true)
  return new Passing(`the connection to ${host} broke${codes[0] ? ` (${codes[0]})` : ''}`)
}

/** A host of several addresses has an error of each. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const { code } = error as { code?: string }
  const inner = error instanceof AggregateError ? error.errors : [error.cause]
  return [...(code ? [code] : []), ...inner.flatMap(codesOf)]
}
