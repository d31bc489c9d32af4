import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Disk } from './disk'

/** Trailer of a block: magic, checksum of the payload, checksum of the token ids it answers, zero (uint32 each). */
const TRAILER = 16
const MAGIC = 0x52544b43
const CHECKSUM = 4
const ANSWERED = 8

/**
 * Blocks of one size in one file, each with its checksums. A block is written payload first and counts only with its
 * trailer, so a file is whole or has gaps wherever its writer died, and the next one fills them.
 */
export class BlockFile {
  /** Bytes of a block in the file. */
  readonly stride: number
  /** Memory of blocks that nobody uses: fresh megabytes a step are what the garbage collector is slowest at. */
  private readonly spare: ArrayBuffer[] = []
  /** That of the latest reads, the oldest first. */
  private readonly lent: ArrayBuffer[] = []

  constructor(
    readonly path: string,
    /** Payload bytes of a block. */
    readonly size: number,
    private readonly disk: Disk,
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

  /** @param parts of the payload, copied before this returns */
  async write(index: number, parts: readonly Uint8Array[], tokens: Int32Array): Promise<void> {
    const block = Buffer.from(this.take())
    let at = 0
    for (const part of parts) {
      block.set(part, at)
      at += part.length
    }
    block.fill(0, this.size)
    block.writeUInt32LE(MAGIC, this.size)
    block.writeUInt32LE(checksumOf(tokens), this.size + ANSWERED)
    this.spare.push(await this.disk.write(this.order(index, block.buffer)))
  }

  /**
   * The payload, valid until the second read after this one is asked for; undefined when it is absent, damaged, or
   * answers other tokens.
   */
  async read(index: number, tokens: Int32Array): Promise<Buffer | undefined> {
    while (this.lent.length > 1) this.spare.push(this.lent.shift()!)
    const { buffer, whole } = await this.disk.read(this.order(index, this.take()))
    const block = Buffer.from(buffer)
    const answers = block.readUInt32LE(this.size + ANSWERED) === checksumOf(tokens)
    if (whole && answers && block.readUInt32LE(this.size) === MAGIC) {
      this.lent.push(buffer)
      return block.subarray(0, this.size)
    }
    this.spare.push(buffer)
    return undefined
  }

  private take(): ArrayBuffer {
    return this.spare.pop() ?? new ArrayBuffer(this.stride)
  }

  private order(index: number, buffer: ArrayBuffer) {
    const { path, size, stride } = this
    return { path, size, buffer, position: index * stride, checksumAt: size + CHECKSUM }
  }
}

function checksumOf(tokens: Int32Array): number {
  return crc32(Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength))
}
