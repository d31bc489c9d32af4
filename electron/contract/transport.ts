import { z } from 'zod'
import { errorShape } from './errors'
import { gridRow } from './grid'
import { loggedEvent, continuedToken } from './job'
import { id } from './library'
import { evaluationRecord, stepRecord } from './metrics'
import { checkpoint, runRow } from './run'
import { task } from './task'

/** What a host pushes to the page, unasked. Every push has a sequence number so that a page can resume. */
export const push = z.discriminatedUnion('topic', [
  z.object({ topic: z.literal('run'), run: runRow }),
  z.object({ topic: z.literal('run-removed'), id }),
  z.object({ topic: z.literal('grid'), grid: gridRow }),
  z.object({ topic: z.literal('grid-removed'), id }),
  z.object({ topic: z.literal('steps'), id, records: z.array(stepRecord) }),
  z.object({ topic: z.literal('evaluation'), id, record: evaluationRecord }),
  z.object({ topic: z.literal('log'), id, entry: loggedEvent }),
  z.object({ topic: z.literal('checkpoint'), id, checkpoint }),
  z.object({ topic: z.literal('task'), task }),
  /** A text that grows: all of it, and the tokens since the last push where alternatives were asked for. */
  z.object({
    topic: z.literal('text'),
    stream: z.string(),
    text: z.string(),
    written: z.array(continuedToken),
  }),
  /** A list of the library has changed: fetch it again. */
  z.object({
    topic: z.literal('library'),
    noun: z.enum(['experiments', 'corpora', 'tokenizers', 'teachers', 'reports', 'settings', 'bin']),
  }),
])
export type Push = z.output<typeof push>

/**
 * Frames of the WebSocket (text, JSON). The client's first frame is `hello`; after a reconnection it carries the last
 * sequence number it has seen and the life of the host that it was of, and the host repeats what was missed or says that
 * it is `lost`: fetch everything anew. A host that was started again has another life, and numbers of its own.
 */
export const clientFrame = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    token: z.string(),
    since: z.number().int().optional(),
    life: z.string().optional(),
  }),
  z.object({ type: z.literal('call'), id: z.number().int(), name: z.string(), params: z.unknown() }),
])
export type ClientFrame = z.output<typeof clientFrame>
export type HostFrame =
  | { type: 'welcome'; seq: number; life: string; lost?: boolean }
  | { type: 'refused'; message: string }
  /** The page read so slowly that pushes up to `seq` are no longer held: fetch everything anew. */
  | { type: 'lost'; seq: number }
  | ({ type: 'result'; id: number } & CallResult)
  | ({ type: 'push' } & NumberedPush)

export type CallResult = { ok: true; result: unknown } | { ok: false; error: z.output<typeof errorShape> }
export interface NumberedPush {
  seq: number
  push: Push
}

/** What the preload script exposes as `window.retort`. */
export interface Bridge {
  call(name: string, params: unknown): Promise<CallResult>
  /** Returns the function that ends it. */
  onPush(listener: (seq: number, push: Push) => void): () => void
  since(seq: number): Promise<{ pushes: NumberedPush[] } | { lost: true }>
  /** Native dialog; absent in a browser, where a path is typed. */
  pickPath?(kind: 'file' | 'folder'): Promise<string | undefined>
}

export const ipcChannels = {
  call: 'retort:call',
  push: 'retort:push',
  since: 'retort:since',
  pickPath: 'retort:pick-path',
} as const
