import { setImmediate } from 'node:timers/promises'
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
/** Bytes that may wait for a page to read them: beyond, it is told nothing and asked nothing until few are left. */
const MOST_BUFFERED = 4 * 2 ** 20
const FEW_BUFFERED = 2 ** 20

type CallFrame = Extract<ClientFrame, { type: 'call' }>

/**
 * One page's WebSocket: hello with the token, then calls, results and pushes. A page that reads slowly is not cut off:
 * its calls wait for their turn, and it is told the pushes that it missed once it has read, from those that are held, or
 * that some of them are lost.
 */
export class Connection {
  private readonly timer: NodeJS.Timeout
  private unsubscribe: (() => void) | undefined
  /** Calls that have not begun, in their order. */
  private readonly calls: CallFrame[] = []
  private calling = false
  /** Number of the last push that the page was sent. */
  private told = 0
  /** Called when the page has read what waited for it. */
  private onRead: (() => void) | undefined

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
    this.calls.push(frame)
    await this.takeCalls()
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
    this.told = missed && since !== undefined ? since : this.services.seq
    this.tell()
    this.unsubscribe = this.services.onPush(() => this.tell())
  }

  /** Sends the pushes that the page has not been told, as far as it reads. */
  private tell(): void {
    while (this.isOpen && !this.isFull && this.told < this.services.seq) {
      const missed = this.services.since(this.told)
      if (!missed) {
        this.told = this.services.seq
        return this.send({ type: 'lost', seq: this.told })
      }
      for (const { seq, push } of missed) {
        if (this.isFull) return
        this.told = seq
        this.send({ type: 'push', seq, push })
      }
    }
  }

  /** Begins the calls one after another; others that the host serves have their turn in between. */
  private async takeCalls(): Promise<void> {
    if (this.calling) return
    this.calling = true
    while (this.isOpen && this.calls.length) {
      if (this.isFull) await new Promise<void>((resolve) => (this.onRead = resolve))
      const next = this.calls.shift()
      if (next) void this.call(next)
      await setImmediate()
    }
    this.calling = false
  }

  private async call({ id, name, params }: CallFrame): Promise<void> {
    try {
      const result = await this.services.call(name as MethodName, params as never)
      this.send({ type: 'result', id, ok: true, result })
    } catch (error) {
      this.send({ type: 'result', id, ok: false, error: toErrorShape(error) })
    }
  }

  private send(frame: HostFrame): void {
    if (this.isOpen) this.socket.send(JSON.stringify(frame), () => this.sent())
  }

  /** A frame has gone to the system: the page reads. */
  private sent(): void {
    if (this.socket.bufferedAmount > FEW_BUFFERED) return
    this.onRead?.()
    this.onRead = undefined
    if (this.unsubscribe) this.tell()
  }

  private get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN
  }

  private get isFull(): boolean {
    return this.socket.bufferedAmount > MOST_BUFFERED
  }

  private refuse(message: string): void {
    this.send({ type: 'refused', message })
    this.socket.close(1008)
  }

  private end(): void {
    clearTimeout(this.timer)
    this.unsubscribe?.()
    this.calls.length = 0
    this.onRead?.()
  }
}
