import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { toErrorShape } from '#contract'
import { loadTokenizer } from '../tokenizer'
import type { AheadAnswer, AheadOrder, AheadWork } from './ahead'
import { SegmentTokens } from './tokens'

/** The thread of an `Ahead`. */

/** The steps go first, but do not starve it: at 19 it began after half a minute beside busy cores. */
const NICE = 10
/** What is needed in more steps than this has time: three quarters of it are left free. */
const NEAR = 32
const REST = 3

type Waiting = Extract<AheadOrder, { step: number }>

const port = parentPort!
const waiting: Waiting[] = []
let now = 0
let wake = () => {}

port.on('message', (order: AheadOrder) => {
  if ('now' in order) now = order.now
  else waiting.push(order)
  wake()
})

async function work({ dataDir, tokenizer: row, corpora }: AheadWork): Promise<void> {
  const tokenizer = await loadTokenizer(dataDir, row)
  const opened = new Map<number, SegmentTokens>()
  for (const [source, corpus] of corpora)
    opened.set(source, await SegmentTokens.open(dataDir, corpus, corpus.row.index!, row, tokenizer))
  for (;;) {
    const order = waiting.shift()
    if (!order) {
      await new Promise<void>((resolve) => (wake = resolve))
      continue
    }
    // The step itself has made it.
    if (order.step <= now) continue
    const { source, segment, step } = order
    const began = performance.now()
    const words = opened.get(source)!.at(segment)
    port.postMessage({ source, segment, words } satisfies AheadAnswer)
    // Also a turn for the messages.
    await sleep(step > now + NEAR ? REST * (performance.now() - began) : 0)
  }
}

// Elsewhere it would be the priority of the whole process.
if (process.platform === 'linux') setPriority(NICE)
work(workerData as AheadWork).catch((error: unknown) => {
  port.postMessage({ failed: toErrorShape(error).message } satisfies AheadAnswer)
})
