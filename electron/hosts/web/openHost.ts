import { WebSocket } from 'ws'
import { failed, RetortError, type Call, type HostFrame, type Push } from '#contract'
import { lockHolder } from '../../files'
import { paths } from '../../store'
import { lastAddress } from './address'

/** The app that is open on a data directory, spoken to as its page speaks to it. */
export interface OpenHost {
  call: Call
  onPush(listener: (push: Push) => void): void
  /** Rejects when the app has gone. */
  gone: Promise<never>
  close(): void
}

const CONNECT_MS = 5_000

/**
 * The app that holds a data directory's lock, where it listens; its token is sent to nobody else: not to a port that
 * another process than the lock's holder may have by now.
 *
 * @returns undefined where nothing holds the lock, and where what does is no app that listens
 */
export async function findOpenHost(dataDir: string): Promise<OpenHost | undefined> {
  const holder = lockHolder(paths.lock(dataDir))
  const { port, pid, token } = lastAddress(dataDir)
  if (!holder || port === undefined || pid !== holder.pid) return undefined
  const origin = `http://127.0.0.1:${port}`
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    headers: { Origin: origin },
    handshakeTimeout: CONNECT_MS,
  })
  const calls = new Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>()
  const listeners = new Set<(push: Push) => void>()
  let leave: (error: unknown) => void
  const gone = new Promise<never>((_, reject) => (leave = reject))
  // Whoever waits for something of it hears of it there.
  gone.catch(() => {})
  const lost = () => {
    const error = failed('the app that was doing this has gone; what it did lies in the data directory')
    for (const { reject } of calls.values()) reject(error)
    calls.clear()
    leave(error)
  }
  const welcomed = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), CONNECT_MS).unref()
    const hear = (frame: HostFrame) => {
      if (frame.type === 'welcome') resolve(true)
      if (frame.type === 'refused') resolve(false)
      if (frame.type === 'push') for (const listener of listeners) listener(frame.push)
      if (frame.type !== 'result') return
      const { id, ...answer } = frame
      const call = calls.get(id)
      calls.delete(id)
      if (answer.ok) call?.resolve(answer.result)
      else call?.reject(new RetortError(answer.error))
    }
    socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', token })))
    socket.on('message', (data) => hear(JSON.parse(String(data)) as HostFrame))
    socket.on('error', () => resolve(false))
    socket.on('close', () => {
      resolve(false)
      lost()
    })
  })
  if (!(await welcomed)) {
    socket.terminate()
    return undefined
  }
  let last = 0
  const call = (name: string, params: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      if (socket.readyState !== socket.OPEN) return void gone.catch(reject)
      const id = ++last
      calls.set(id, { resolve, reject })
      socket.send(JSON.stringify({ type: 'call', id, name, params }))
    })
  return {
    call: call as Call,
    onPush: (listener) => void listeners.add(listener),
    gone,
    close: () => socket.terminate(),
  }
}
