import type { Bridge } from '#contract'
import type { Transport, TransportEvents } from './transport'

declare global {
  interface Window {
    /** Exposed by the preload script of the desktop app. */
    retort?: Bridge
  }
}

/** The page inside Electron: calls go through the preload script. */
export function bridgeTransport(bridge: Bridge, events: TransportEvents): Transport {
  bridge.onPush((_seq, push) => events.onPush(push))
  events.onStatus('open')
  return { call: (name, params) => bridge.call(name, params), pickPath: bridge.pickPath }
}
