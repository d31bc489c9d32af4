import { WebSocket } from 'ws'
import type { HostFrame } from '#contract'

/** A socket and what it has received; `next` waits for the next frame, or for the close. */
export function connectTo({ port }: { port: number }, options: { origin?: string; host?: string } = {}) {
  const origin = options.origin ?? `http://127.0.0.1:${port}`
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    headers: { Origin: origin, ...(options.host && { Host: options.host }) },
  })
  const frames: (HostFrame | 'closed')[] = []
  let wake = () => {}
  const add = (frame: HostFrame | 'closed') => {
    frames.push(frame)
    wake()
  }
  socket.on('message', (data) => add(JSON.parse(String(data)) as HostFrame))
  socket.on('close', () => add('closed'))
  socket.on('error', () => {})
  const next = async () => {
    while (!frames.length) await new Promise<void>((resolve) => (wake = resolve))
    return frames.shift()!
  }
  const opened = new Promise<void>((resolve) => socket.on('open', () => resolve()))
  const say = async (frame: unknown) => {
    await opened
    socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }
  return { socket, next, say }
}
