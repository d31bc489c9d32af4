import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { badInput } from '#contract'
import { unpackDeflate } from './compressed'
import { readFile } from './readFile'

/** APPNOTE.TXT of PKWARE, 4.3: signatures and fixed lengths of a file's, a directory's and the end's record. */
const LOCAL = { signature: 0x04034b50, length: 30 }
const CENTRAL = { signature: 0x02014b50, length: 46 }
const END = { signature: 0x06054b50, length: 22 }
const LONGEST_COMMENT = 0xffff
const STORED = 0
const DEFLATED = 8

interface Entry {
  name: string
  bytes(): AsyncIterable<Uint8Array>
}

/**
 * The files of an archive, by its directory. Every size that it announces is held against the archive itself.
 *
 * @throws bad-input for an archive that is damaged, encrypted, above 4 GB, or compressed otherwise
 */
export function entriesOf(file: string, onBytes: (count: number) => void): Entry[] {
  const handle = openSync(file, 'r')
  try {
    const { size } = fstatSync(handle)
    const read = (at: number, length: number) => {
      if (at < 0 || at + length > size) throw refused(file, 'its directory points outside the file')
      const bytes = Buffer.alloc(length)
      readSync(handle, bytes, 0, length, at)
      return bytes
    }
    const tail = read(
      Math.max(0, size - END.length - LONGEST_COMMENT),
      Math.min(size, END.length + LONGEST_COMMENT),
    )
    let end = tail.length - END.length
    while (end >= 0 && tail.readUInt32LE(end) !== END.signature) end--
    if (end < 0) throw refused(file, 'it has no directory at its end')
    const count = tail.readUInt16LE(end + 10)
    const length = tail.readUInt32LE(end + 12)
    const start = tail.readUInt32LE(end + 16)
    if (count === 0xffff || start === 0xffffffff) throw refused(file, 'it is in the 64-bit form')
    const directory = read(start, length)
    const entries: Entry[] = []
    let packedBytes = 0
    for (let i = 0, at = 0; i < count; i++) {
      if (at + CENTRAL.length > length || directory.readUInt32LE(at) !== CENTRAL.signature)
        throw refused(file, `its directory ends after ${i} of ${count} files`)
      const [flags, method] = [directory.readUInt16LE(at + 8), directory.readUInt16LE(at + 10)]
      const [packed, unpacked] = [directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 24)]
      const [nameLength, extra, comment] = [28, 30, 32].map((field) =>
        directory.readUInt16LE(at + field),
      ) as [number, number, number]
      const local = directory.readUInt32LE(at + 42)
      const name = directory.toString('utf8', at + CENTRAL.length, at + CENTRAL.length + nameLength)
      at += CENTRAL.length + nameLength + extra + comment
      if (name.endsWith('/')) continue
      const inner = `${file}/${name}`
      if (flags & 1) throw refused(inner, 'it is encrypted')
      if (method !== STORED && method !== DEFLATED)
        throw refused(inner, `it is compressed by method ${method}`)
      const header = read(local, LOCAL.length)
      if (header.readUInt32LE(0) !== LOCAL.signature)
        throw refused(inner, 'its header is not where it should be')
      const data = local + LOCAL.length + header.readUInt16LE(26) + header.readUInt16LE(28)
      // Files that lie over each other hold more together than the archive does.
      packedBytes += packed
      if (data + packed > size || packedBytes > size) throw refused(inner, 'its data goes beyond the archive')
      const raw = () => readFile(file, data, data + packed, onBytes)
      entries.push({
        name,
        bytes: () => exactly(method === STORED ? raw() : unpackDeflate(raw(), inner), unpacked, inner),
      })
    }
    return entries
  } finally {
    closeSync(handle)
  }
}

/** @throws bad-input when it is not as long as was announced */
async function* exactly(
  content: AsyncIterable<Uint8Array>,
  announced: number,
  name: string,
): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of content) {
    read += chunk.length
    if (read > announced) break
    yield chunk
  }
  if (read !== announced)
    throw refused(
      name,
      `it has ${read > announced ? 'more than' : read} ${read > announced ? announced : `of ${announced}`} bytes`,
    )
}

const refused = (file: string, why: string) =>
  badInput(`the archive cannot be read: ${why}`, { file, expected: 'a .zip file, stored or deflated' })
