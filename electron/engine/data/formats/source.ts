import { closeSync, openSync, readSync } from 'node:fs'
import { badInput } from '#contract'
import { unpackGzip, unpackZstd } from './compressed'
import { readFile } from './readFile'
import { entriesOf } from './zip'

/** Something to read text from: a file, one that was compressed, or one of an archive. */
export interface Source {
  /** For messages; of an archive's file: `archive.zip/name`. */
  name: string
  /** Where it lies as it is, to be read out of order; a compressed one does not. */
  file?: string
  /** Its bytes, unpacked, from the beginning. */
  bytes(): AsyncIterable<Uint8Array>
}

/** Bytes that a format is found by. */
const HEAD = 1 << 16

const startsWith = (head: Uint8Array, ...bytes: number[]) => bytes.every((byte, i) => head[i] === byte)

/**
 * What a file holds: itself, what it was compressed from, or the files of an archive, by what it begins with.
 *
 * @param onBytes hears how many bytes of the file on disk were read
 */
export async function* openSources(
  file: string,
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<Source> {
  const stored: Source = { name: file, file, bytes: () => readFile(file, 0, undefined, onBytes) }
  const head = headOf(file)
  if (!startsWith(head, 0x50, 0x4b, 3, 4) && !startsWith(head, 0x50, 0x4b, 5, 6)) {
    yield unpacked(stored, head)
    return
  }
  for (const { name, bytes } of entriesOf(file, onBytes)) {
    const inner: Source = { name: `${file}/${name}`, bytes }
    const begins = await peek(inner)
    if (startsWith(begins, 0x50, 0x4b, 3, 4))
      throw badInput('an archive within an archive is not read', {
        file: inner.name,
        expected: 'text, or text that is compressed once more',
      })
    yield unpacked(inner, begins)
  }
}

function unpacked(source: Source, head: Uint8Array): Source {
  const { name, bytes } = source
  if (startsWith(head, 0x1f, 0x8b)) return { name, bytes: () => unpackGzip(bytes(), name) }
  // Zstandard's own magic, and those of frames to be skipped.
  if (
    startsWith(head, 0x28, 0xb5, 0x2f, 0xfd) ||
    (head[0]! >> 4 === 5 && startsWith(head.subarray(1), 0x2a, 0x4d, 0x18))
  )
    return { name, bytes: () => unpackZstd(bytes(), name) }
  return source
}

function headOf(file: string): Uint8Array {
  const handle = openSync(file, 'r')
  try {
    const head = new Uint8Array(HEAD)
    return head.subarray(0, readSync(handle, head, 0, HEAD, 0))
  } finally {
    closeSync(handle)
  }
}

/** The first bytes of a source, as many as a format is found by. */
export async function peek(source: Source): Promise<Uint8Array> {
  if (source.file) return headOf(source.file)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of source.bytes()) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= HEAD) break
  }
  return Buffer.concat(chunks).subarray(0, HEAD)
}
