import type { GenerateResult, ContinuedToken } from '#contract'
import type { PushLog } from '../jobs'

/** Tokens are gathered for this long: a page draws no faster. */
const GATHER_MS = 100

type Write = (
  onText: (text: string, token?: ContinuedToken) => void,
  signal: AbortSignal,
) => Promise<GenerateResult>

/** Texts that pages see while they are written, by the name that the page gave each. */
export class TextStreams {
  private readonly open = new Map<string, AbortController>()

  constructor(private readonly pushes: Pick<PushLog, 'push'>) {}

  /** Pushes what is written as it grows. @throws failed when it was stopped */
  async follow(stream: string, write: Write): Promise<GenerateResult> {
    const abort = new AbortController()
    this.open.set(stream, abort)
    let [text, written]: [string, ContinuedToken[]] = ['', []]
    let timer: NodeJS.Timeout | undefined
    const flush = () => {
      timer = undefined
      this.pushes.push({ topic: 'text', stream, text, written })
      written = []
    }
    try {
      return await write((now, token) => {
        text = now
        if (token) written.push(token)
        timer ??= setTimeout(flush, GATHER_MS)
      }, abort.signal)
    } finally {
      // What is left is in the result; of a stopped text it is what was written last.
      if (timer) {
        clearTimeout(timer)
        flush()
      }
      this.open.delete(stream)
    }
  }

  /** Ends a text; one that has ended stays as it is. */
  stop(stream: string): void {
    this.open.get(stream)?.abort()
  }
}
