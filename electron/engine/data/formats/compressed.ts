import { Readable } from 'node:stream'
import { createGunzip, createInflateRaw } from 'node:zlib'
import { Decompress } from 'fzstd'
import { badInput } from '#contract'

/** Text grows three to tenfold; what grows more than so many times, beyond so many bytes, was made to fill the disk. */
const GREATEST_RATIO = 250
const SMALL = 64 << 20
/** Bytes that a frame of Zstandard may look back: what its own command takes unasked (`--long=27`). */
const WINDOW = 1 << 27

/** The content of a .gz file, of all its members. */
export const unpackGzip = (packed: AsyncIterable<Uint8Array>, name: string) =>
  inflated(packed, name, createGunzip, 'a whole .gz file')

/** What an archive's entry was deflated from. */
export const unpackDeflate = (packed: AsyncIterable<Uint8Array>, name: string) =>
  inflated(packed, name, createInflateRaw, 'a whole .zip file')

async function* inflated(
  packed: AsyncIterable<Uint8Array>,
  name: string,
  create: typeof createGunzip | typeof createInflateRaw,
  expected: string,
): AsyncGenerator<Uint8Array> {
  const growth = new Growth(name)
  const raw = Readable.from(growth.read(packed))
  const stream = raw.pipe(create())
  raw.on('error', (error) => stream.destroy(error))
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      growth.add(chunk.length)
      yield chunk
    }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code?.startsWith('Z_') || code === 'ERR_STREAM_PREMATURE_CLOSE')
      throw damaged(name, message, expected)
    throw error
  } finally {
    raw.destroy()
  }
}

/** The content of a .zst file, of all its frames. */
export async function* unpackZstd(
  packed: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array> {
  const growth = new Growth(name)
  const expected = 'a whole .zst file'
  let made: Uint8Array[] = []
  const stream = new Decompress((chunk) => void made.push(chunk.slice()))
  const push = (chunk: Uint8Array, final: boolean) => {
    try {
      stream.push(chunk, final)
    } catch (error) {
      throw damaged(name, (error as Error).message, expected)
    }
  }
  let first = true
  // It asks for memory by what a block may hold: pieces keep what waits small.
  for await (const chunk of growth.read(packed)) {
    if (first) checkWindow(chunk, name)
    first = false
    for (let from = 0; from < chunk.length; from += PIECE) {
      push(chunk.subarray(from, from + PIECE), false)
      for (const part of made) {
        growth.add(part.length)
        yield part
      }
      made = []
    }
  }
  push(new Uint8Array(), true)
  yield* made
}
const PIECE = 1 << 14

/** RFC 8878, 3.1.1.1: the window that a frame announces, before it is asked for. */
function checkWindow(frame: Uint8Array, name: string): void {
  const descriptor = frame[4] ?? 0
  const single = (descriptor >> 5) & 1
  if (frame[0] !== 0x28 || frame.length < 18) return
  let bytes: number
  if (single) {
    const at = 5 + [0, 1, 2, 4][descriptor & 3]!
    const view = Buffer.from(frame)
    const form = descriptor >> 6
    bytes =
      form === 0
        ? view[at]!
        : form === 1
          ? view.readUInt16LE(at) + 256
          : form === 2
            ? view.readUInt32LE(at)
            : Number(view.readBigUInt64LE(at))
  } else {
    const base = 2 ** (10 + (frame[5]! >> 3))
    bytes = base + (base / 8) * (frame[5]! & 7)
  }
  if (bytes > WINDOW)
    throw badInput(`the compressed data asks for a window of ${bytes} bytes`, {
      file: name,
      expected: `at most ${WINDOW}; compress it without --ultra or --long`,
    })
}

const damaged = (file: string, why: string, expected: string) =>
  badInput(`the compressed data is damaged or cut off (${why})`, { file, expected })

/** Counts what goes in and what comes out, and stops what was made to fill the disk. */
class Growth {
  private packed = 0
  private unpacked = 0

  constructor(private readonly name: string) {}

  async *read(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of packed) {
      this.packed += chunk.length
      yield chunk
    }
  }

  /** @throws bad-input */
  add(count: number): void {
    this.unpacked += count
    if (this.unpacked <= SMALL || this.unpacked <= this.packed * GREATEST_RATIO) return
    throw badInput(`the compressed data grows more than ${GREATEST_RATIO} times`, {
      file: this.name,
      expected: 'compressed text',
    })
  }
}
