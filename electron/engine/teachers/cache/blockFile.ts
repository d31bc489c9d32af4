import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, write } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'

/** Trailer of a block: magic, checksum of the payload, checksum of the token ids it answers, zero (uint32 each). */
const TRAILER = 16
const MAGIC = 0x52544b43
/** One block in use, one read ahead, one more for a block that is read again. */
const TURNS = 3

/**
 * Blocks of one size in one file, each with its checksums. A block is written payload first and counts only with its
 * trailer, so a file is whole or has gaps wherever its writer died, and the next one fills them.
 */
export class BlockFile {
  private readonly stride: number
  private handle: FileHandle | undefined
  /** Memory of the latest reads, used in turn: a fresh megabyte a step is what the garbage collector is slowest at. */
  private readonly memory: Buffer[] = []
  private reads = 0

  constructor(
    readonly path: string,
    /** Payload bytes of a block. */
    readonly size: number,
  ) {
    this.stride = size + TRAILER
  }

  /** The blocks of `0..count` that are not written. What is damaged shows when it is read. */
  missing(count: number): number[] {
    const all = Array.from({ length: count }, (_, i) => i)
    if (!existsSync(this.path)) return all
    const file = openSync(this.path, 'r')
    try {
      const trailer = Buffer.alloc(TRAILER)
      return all.filter((i) => {
        const read = readSync(file, trailer, 0, TRAILER, i * this.stride + this.size)
        return read < TRAILER || trailer.readUInt32LE(0) !== MAGIC
      })
    } finally {
      closeSync(file)
    }
  }

  /** @param parts of the payload, unchanged until it is written */
  async write(index: number, parts: readonly Uint8Array[], tokens: Int32Array): Promise<void> {
    mkdirSync(dirname(this.path), { recursive: true })
    const trailer = Buffer.alloc(TRAILER)
    const own = parts.reduce((sum, part) => crc32(part, sum), 0)
    for (const [i, value] of [MAGIC, own, checksumOf(tokens)].entries()) trailer.writeUInt32LE(value, i * 4)
    // Opened before anything is awaited: two writes of a new file must not both make it.
    const file = openSync(this.path, existsSync(this.path) ? 'r+' : 'w+')
    try {
      let at = index * this.stride
      for (const part of [...parts, trailer]) {
        await writeAll(file, part, at)
        at += part.length
      }
    } finally {
      closeSync(file)
    }
  }

  /**
   * The payload, valid until the third read after this one; undefined when it is absent, damaged, or answers other
   * tokens.
   */
  async read(index: number, tokens: Int32Array): Promise<Buffer | undefined> {
    if (!this.handle) {
      if (!existsSync(this.path)) return undefined
      this.handle = await open(this.path, 'r')
    }
    const turn = this.reads++ % TURNS
    const block = (this.memory[turn] ??= Buffer.from(new ArrayBuffer(this.stride)))
    const { bytesRead } = await this.handle.read(block, 0, this.stride, index * this.stride)
    if (bytesRead < this.stride) return undefined
    const payload = block.subarray(0, this.size)
    const [magic, own, answered] = [0, 4, 8].map((at) => block.readUInt32LE(this.size + at))
    const whole = magic === MAGIC && own === crc32(payload) && answered === checksumOf(tokens)
    return whole ? payload : undefined
  }

  /** Bytes of the file; 0 when there is none. */
  bytes(): number {
    if (!existsSync(this.path)) return 0
    const file = openSync(this.path, 'r')
    try {
      return fstatSync(file).size
    } finally {
      closeSync(file)
    }
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }
}

function checksumOf(tokens: Int32Array): number {
  return crc32(Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength))
}

const writeSome = promisify(write)

async function writeAll(file: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await writeSome(file, bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}
