import type { WebSocket } from 'ws'
import {
  clientFrame,
  parse,
  toErrorShape,
  type ClientFrame,
  type HostFrame,
  type MethodName,
} from '#contract'
import type { Services } from '../../services'
import { sameToken } from './access'

/** A client that has not said its token by then is not ours. */
const HELLO_MS = 5_000
/** A page that does not read is cut off; when it comes back it resumes. */
const MOST_BUFFERED = 16 * 2 ** 20

/** One page's WebSocket: hello with the token, then calls, results and pushes. */
export class Connection {
  private readonly timer: NodeJS.Timeout
  private unsubscribe: (() => void) | undefined

  constructor(
    private readonly socket: WebSocket,
    private readonly services: Services,
    private readonly host: { token: string; life: string },
  ) {
    this.timer = setTimeout(() => this.refuse('no hello came'), HELLO_MS)
    socket.on('message', (data) => void this.receive(String(data)))
    socket.on('close', () => this.end())
    socket.on('error', () => this.end())
  }

  private async receive(text: string): Promise<void> {
    let frame: ClientFrame
    try {
      frame = parse(clientFrame, JSON.parse(text))
    } catch {
      return this.refuse('a message that is none of ours')
    }
    if (frame.type === 'hello') return this.welcome(frame)
    if (!this.unsubscribe) return this.refuse('a call before hello')
    await this.call(frame)
  }

  private welcome({ token, since, life }: Extract<ClientFrame, { type: 'hello' }>): void {
    if (this.unsubscribe) return
    if (!sameToken(token, this.host.token)) {
      return this.refuse('the token is not that of this server; open the address that Retort printed')
    }
    clearTimeout(this.timer)
    const ours = life === undefined || life === this.host.life
    const missed = since === undefined ? [] : ours ? this.services.since(since) : undefined
    const lost = missed === undefined
    this.send({ type: 'welcome', seq: this.services.seq, life: this.host.life, lost })
    for (const { seq, push } of missed ?? []) this.send({ type: 'push', seq, push })
    this.unsubscribe = this.services.onPush((seq, push) => this.send({ type: 'push', seq, push }))
  }

  private async call({ id, name, params }: Extract<ClientFrame, { type: 'call' }>): Promise<void> {
    try {
      const result = await this.services.call(name as MethodName, params as never)
      this.send({ type: 'result', id, ok: true, result })
    } catch (error) {
      this.send({ type: 'result', id, ok: false, error: toErrorShape(error) })
    }
  }

  private send(frame: HostFrame): void {
    if (this.socket.readyState !== this.socket.OPEN) return
    if (this.socket.bufferedAmount > MOST_BUFFERED) this.socket.terminate()
    else this.socket.send(JSON.stringify(frame))
  }

  private refuse(message: string): void {
    this.send({ type: 'refused', message })
    this.socket.close(1008)
  }

  private end(): void {
    clearTimeout(this.timer)
    this.unsubscribe?.()
  }
}
