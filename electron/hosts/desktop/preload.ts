import { contextBridge, ipcRenderer } from 'electron'
import type { Bridge, NumberedPush } from '#contract'

/** The names of contract/api.ts, written out: a sandboxed preload script carries no schemas. */
const channels = {
  call: 'retort:call',
  push: 'retort:push',
  since: 'retort:since',
  pickPath: 'retort:pick-path',
} satisfies typeof import('#contract').ipcChannels

/** The only thing the page gets of Electron. */
const bridge: Bridge = {
  call: (name, params) => ipcRenderer.invoke(channels.call, name, params),
  onPush(listener) {
    const hear = (_event: unknown, { seq, push }: NumberedPush) => listener(seq, push)
    ipcRenderer.on(channels.push, hear)
    return () => ipcRenderer.off(channels.push, hear)
  },
  since: (seq) => ipcRenderer.invoke(channels.since, seq),
  pickPath: (kind) => ipcRenderer.invoke(channels.pickPath, kind),
}

contextBridge.exposeInMainWorld('retort', bridge)
