import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/

/**
 * Whether the request names a loopback host: a page of another site that has its name resolved to 127.0.0.1 still
 * says its own name here. The port may be another one, as seen through a tunnel.
 */
export function hostAllowed({ headers }: IncomingMessage): boolean {
  return LOOPBACK.test(headers.host ?? '')
}

/** A WebSocket knows no same-origin rule: its Origin must be the very host it speaks to. */
export function originAllowed({ headers }: IncomingMessage): boolean {
  if (!headers.origin) return false
  try {
    return new URL(headers.origin).host === headers.host
  } catch {
    return false
  }
}

/** In constant time, whatever the lengths. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
