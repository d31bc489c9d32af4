import { reactive } from 'vue'
import { RetortError, type Call, type Push } from '#contract'
import { bridgeTransport } from './bridge'
import { socketTransport, takeToken } from './socket'
import type { ConnectionStatus, Transport, TransportEvents } from './transport'

const listeners = new Set<(push: Push) => void>()
const lostListeners = new Set<() => void>()
let transport: Transport | undefined

export const connection = reactive<{
  status: ConnectionStatus
  message?: string
  /** Whether it was ever there: what is on the screen came from it. */
  known: boolean
}>({ status: 'connecting', known: false })

/** Connects the page to its host: the preload script's bridge, or the web host's socket. */
export function startClient(): void {
  const events: TransportEvents = {
    onPush: (push) => listeners.forEach((listener) => listener(push)),
    onLost: () => lostListeners.forEach((listener) => listener()),
    onStatus: (status, message) => {
      Object.assign(connection, { status, message })
      if (status === 'open') connection.known = true
    },
  }
  transport = window.retort ? bridgeTransport(window.retort, events) : socketTransport(takeToken(), events)
}

/** Does one method of the API. Rejects with a RetortError. */
export const call: Call = async (name, params) => {
  // Reactive proxies do not cross a process boundary.
  const answer = await transport!.call(name, JSON.parse(JSON.stringify(params)))
  if (answer.ok) return answer.result as never
  throw new RetortError(answer.error)
}

export function onPush(listener: (push: Push) => void): void {
  listeners.add(listener)
}

/** Called when pushes were missed: fetch everything anew. Returns the function that ends it. */
export function onLost(listener: () => void): () => void {
  lostListeners.add(listener)
  return () => lostListeners.delete(listener)
}

export function reconnect(): void {
  transport?.retry?.()
}

export function pathPicker(): Transport['pickPath'] {
  return transport?.pickPath
}
