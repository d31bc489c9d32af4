import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { tryJson } from '../files'

const header = z.record(z.string(), z.object({ data_offsets: z.tuple([z.number(), z.number()]).optional() }))

/**
 * What of a safetensors file does not go with its size, without reading its weights; undefined where all does. Its
 * beginning is its header's length in eight bytes, then the header, whose ranges count from its end.
 */
export function misfit(file: string): string | undefined {
  if (!existsSync(file)) return 'the file is missing'
  const open = openSync(file, 'r')
  try {
    const { size } = fstatSync(open)
    const length = Buffer.alloc(8)
    const [read, bytes] = [readSync(open, length, 0, 8, 0), Number(length.readBigUInt64LE())]
    if (read < 8 || bytes > size - 8) return 'the file is cut off within its header'
    const text = Buffer.alloc(bytes)
    readSync(open, text, 0, bytes, 8)
    const tensors = header.safeParse(tryJson(text.toString('utf8')))
    if (!tensors.success) return 'its header is damaged'
    const ends = Object.values(tensors.data).map(({ data_offsets: [, end] = [0, 0] }) => end)
    const wanted = ends.reduce((most, end) => Math.max(most, end), 0) + 8 + bytes
    return wanted === size ? undefined : `it has ${size} bytes; its header announces ${wanted}`
  } finally {
    closeSync(open)
  }
}
