import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import type { ContinuedToken } from '#contract'
import { onPush } from '../api/client'

/** A text while it is written. */
export interface Stream {
  text: string
  written: ContinuedToken[]
}

/** Texts that models are writing for this page, by the names that it gave them. */
export const useStreams = defineStore('streams', () => {
  const open = shallowReactive(new Map<string, Stream>())
  onPush((push) => {
    if (push.topic !== 'text') return
    const known = open.get(push.stream)
    // Another page's.
    if (known) open.set(push.stream, { text: push.text, written: [...known.written, ...push.written] })
  })
  /** A name for a new text, which is seen from now on. */
  function begin(): string {
    const stream = crypto.randomUUID()
    open.set(stream, { text: '', written: [] })
    return stream
  }
  function end(stream: string): void {
    open.delete(stream)
  }
  return { open, begin, end }
})
