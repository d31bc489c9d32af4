import type { CallResult, ClientFrame, HostFrame } from '#contract'
import type { Transport, TransportEvents } from './transport'

const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 5_000

interface Waiting {
  frame: ClientFrame
  resolve: (result: CallResult) => void
}

/** How long a call waits for a connection before it fails. */
const PATIENCE_MS = 4_000

const broken = 'the connection to Retort broke; it is not known whether this was done'
const unreachable = 'Retort does not answer; nothing was done'

/**
 * The page in a browser: a WebSocket that comes back after it broke, and resumes its subscription. Calls made
 * meanwhile wait a little; calls that were under way fail, for nobody knows whether they were done.
 */
export function socketTransport(token: string, events: TransportEvents): Transport {
  let socket: WebSocket | undefined
  let open = false
  let refused = false
  let seen: number | undefined
  let life: string | undefined
  let retry: number | undefined
  let wait = FIRST_WAIT_MS
  let lastId = 0
  const queued = new Set<Waiting>()
  const underWay = new Map<number, Waiting['resolve']>()

  function connect(): void {
    events.onStatus('connecting')
    const { protocol, host } = window.location
    socket = new WebSocket(`${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws`)
    socket.onopen = () => send({ type: 'hello', token, since: seen, life })
    socket.onmessage = ({ data }) => receive(JSON.parse(String(data)) as HostFrame)
    socket.onclose = closed
  }

  function receive(frame: HostFrame): void {
    switch (frame.type) {
      case 'welcome':
        open = true
        wait = FIRST_WAIT_MS
        if (frame.lost) {
          seen = frame.seq
          events.onLost()
        }
        seen ??= frame.seq
        life = frame.life
        events.onStatus('open')
        for (const { frame: call, resolve } of queued) post(call, resolve)
        queued.clear()
        return
      case 'refused':
        refused = true
        events.onStatus('refused', frame.message)
        return
      case 'lost':
        seen = frame.seq
        events.onLost()
        return
      case 'push':
        seen = frame.seq
        events.onPush(frame.push)
        return
      case 'result':
        underWay.get(frame.id)?.(frame)
        underWay.delete(frame.id)
    }
  }

  function closed(): void {
    open = false
    for (const resolve of underWay.values()) resolve(failure(broken))
    underWay.clear()
    if (refused) return
    events.onStatus('closed')
    retry = window.setTimeout(connect, wait)
    wait = Math.min(LONGEST_WAIT_MS, wait * 2)
  }

  function send(frame: ClientFrame): void {
    socket!.send(JSON.stringify(frame))
  }

  function post(frame: ClientFrame, resolve: Waiting['resolve']): void {
    if (frame.type === 'call') underWay.set(frame.id, resolve)
    send(frame)
  }

  connect()
  return {
    call: (name, params) =>
      new Promise((resolve) => {
        const frame: ClientFrame = { type: 'call', id: ++lastId, name, params }
        if (open) return post(frame, resolve)
        const waiting = { frame, resolve }
        queued.add(waiting)
        setTimeout(() => queued.delete(waiting) && resolve(failure(unreachable)), PATIENCE_MS)
      }),
    retry: () => {
      if (socket?.readyState !== WebSocket.CLOSED || refused) return
      window.clearTimeout(retry)
      connect()
    },
  }
}

const failure = (message: string): CallResult => ({ ok: false, error: { code: 'failed', message } })

const KEY = 'retort-token'

/** The token of the address, which is taken out of it: kept for this tab, not for its history. */
export function takeToken(): string {
  const found = /^#token=([\w-]+)/.exec(window.location.hash)
  if (found) {
    sessionStorage.setItem(KEY, found[1]!)
    window.history.replaceState(null, '', window.location.pathname + window.location.search)
  }
  return sessionStorage.getItem(KEY) ?? ''
}
