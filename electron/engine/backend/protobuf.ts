/**
 * The few parts of protobuf's wire format that an ONNX model needs, written into one growing buffer. A message that
 * contains messages is written by nesting `message` calls; its length is filled in when it ends.
 */
export class ProtoWriter {
  private bytes = new Uint8Array(1 << 14)
  private length = 0

  /** Field of type int32, int64, bool or enum. Negative numbers take ten bytes, as protobuf wants. */
  integer(field: number, value: number): void {
    this.tag(field, 0)
    this.varint(BigInt.asUintN(64, BigInt(value)))
  }

  float(field: number, value: number): void {
    this.tag(field, 5)
    this.reserve(4)
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true)
    this.length += 4
  }

  string(field: number, value: string): void {
    this.raw(field, Buffer.from(value))
  }

  raw(field: number, value: Uint8Array): void {
    this.tag(field, 2)
    this.varint(BigInt(value.length))
    this.reserve(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
  }

  /** A repeated int64 field, one entry a value (parsers take packed and unpacked alike). */
  integers(field: number, values: readonly number[]): void {
    for (const value of values) this.integer(field, value)
  }

  message(field: number, write: () => void): void {
    this.tag(field, 2)
    // Lengths are written in five bytes always, so that the body need not be moved once its length is known.
    const at = this.length
    this.reserve(5)
    this.length += 5
    write()
    let size = this.length - at - 5
    for (let i = 0; i < 5; i++) {
      this.bytes[at + i] = (size & 0x7f) | (i < 4 ? 0x80 : 0)
      size >>>= 7
    }
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  private tag(field: number, wireType: number): void {
    this.varint(BigInt(field * 8 + wireType))
  }

  private varint(value: bigint): void {
    this.reserve(10)
    let rest = value
    while (rest > 127n) {
      this.bytes[this.length++] = Number(rest & 127n) | 128
      rest >>= 7n
    }
    this.bytes[this.length++] = Number(rest)
  }

  private reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + size))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}

/** A field of a message: its number, and its value as a number (of a varint) or as bytes. */
export class Field {
  constructor(
    readonly number: number,
    private readonly value: number | Buffer,
  ) {}

  message(): ProtoReader {
    return new ProtoReader(this.bytes())
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  /** One value, or a packed list of them. */
  integers(): number[] {
    if (typeof this.value === 'number') return [this.value]
    const values: number[] = []
    for (let at = 0; at < this.value.length;) {
      const { value, next } = varint(this.value, at)
      values.push(value)
      at = next
    }
    return values
  }

  private bytes(): Buffer {
    if (typeof this.value === 'number') throw new Error(`field ${this.number} is a number, not a message`)
    return this.value
  }
}

/** The fields of a serialised message, one after the other. Throws where the bytes are not one. */
export class ProtoReader implements Iterable<Field> {
  constructor(private readonly bytes: Buffer) {}

  *[Symbol.iterator](): Iterator<Field> {
    const { bytes } = this
    for (let at = 0; at < bytes.length;) {
      const tag = varint(bytes, at)
      const number = Math.floor(tag.value / 8)
      const wire = tag.value % 8
      at = tag.next
      if (wire === 0) {
        const { value, next } = varint(bytes, at)
        at = next
        yield new Field(number, value)
        continue
      }
      const length = wire === 1 ? { value: 8, next: at } : wire === 5 ? { value: 4, next: at } : undefined
      if (!length && wire !== 2) throw new Error(`byte ${at} begins no field`)
      const { value: size, next: start } = length ?? varint(bytes, at)
      at = start + size
      if (at > bytes.length) throw new Error(`field ${number} ends at byte ${at} of ${bytes.length}`)
      yield new Field(number, bytes.subarray(start, at))
    }
  }
}

/** Exact up to 2^53; sizes and enums are far below. */
function varint(bytes: Buffer, start: number): { value: number; next: number } {
  let value = 0
  for (let at = start, scale = 1; at < bytes.length && at < start + 10; at++, scale *= 128) {
    const byte = bytes[at]!
    value += (byte & 127) * scale
    if (byte < 128) return { value, next: at + 1 }
  }
  throw new Error(`byte ${start} begins a number that does not end`)
}
