import { createReadStream } from 'node:fs'

/** Part of a file as a stream; `end` is exclusive. */
export async function* readFile(
  file: string,
  start: number,
  end: number | undefined,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  if (end !== undefined && end <= start) return
  const stream = createReadStream(file, {
    highWaterMark: 1 << 18,
    start,
    ...(end !== undefined && { end: end - 1 }),
  })
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    onBytes(chunk.length)
    yield chunk
  }
}
