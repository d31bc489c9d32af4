import { Field } from 'apache-arrow/fb/field'
import { DictionaryBatch } from 'apache-arrow/fb/dictionary-batch'
import { Message } from 'apache-arrow/fb/message'
import { MessageHeader } from 'apache-arrow/fb/message-header'
import { RecordBatch } from 'apache-arrow/fb/record-batch'
import { Schema } from 'apache-arrow/fb/schema'
import { ByteBuffer } from 'flatbuffers'

const MAGIC = Buffer.from('ARROW1\0\0', 'latin1')
const CONTINUATION = -1
/** Bytes of a message's description, and of its body. */
const MOST_METADATA = 1 << 24
const MOST_BODY = 2 ** 31
/** Types within types. */
const DEEPEST = 64

/**
 * The messages of an Arrow stream, or of a file, which is one between its magic and its footer. What a message says of
 * itself is counted before the library believes it: it goes through lists as long as they are said to be.
 *
 * @throws Error for one that cannot be
 */
export async function* arrowMessages(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = bytes[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  const more = async () => {
    const next = await source.next()
    if (!next.done) held = Buffer.concat([held, next.value])
    return !next.done
  }
  const take = async (count: number) => {
    while (held.length < count && (await more()));
    const taken = held.subarray(0, count)
    held = held.subarray(taken.length)
    return taken
  }
  try {
    const begin = await take(MAGIC.length)
    held = begin.equals(MAGIC) ? held : Buffer.concat([begin, held])
    for (;;) {
      let prefix = await take(4)
      if (prefix.length < 4) break
      if (prefix.readInt32LE() === CONTINUATION) prefix = Buffer.concat([prefix, await take(4)])
      const length = prefix.length % 4 ? 0 : prefix.readInt32LE(prefix.length - 4)
      if (length === 0) break
      if (length < 0 || length > MOST_METADATA) throw new Error(`a message of ${length} bytes`)
      const metadata = await take(length)
      if (metadata.length < length) throw new Error('it is cut off')
      let body = checkMessage(metadata)
      yield Buffer.concat([prefix, metadata])
      while (body > 0) {
        if (!held.length && !(await more())) throw new Error('it is cut off')
        const part = held.subarray(0, body)
        held = held.subarray(part.length)
        body -= part.length
        yield part
      }
    }
  } finally {
    await source.return?.()
  }
}

/** @returns bytes of its body */
function checkMessage(metadata: Uint8Array): number {
  const message = Message.getRootAsMessage(new ByteBuffer(metadata))
  const count = new Count(metadata.length / 4)
  count.take(message.customMetadataLength())
  switch (message.headerType()) {
    case MessageHeader.Schema: {
      const schema = message.header(new Schema()) as Schema | null
      if (schema) checkSchema(schema, count)
      break
    }
    case MessageHeader.RecordBatch:
      checkBatch(message.header(new RecordBatch()) as RecordBatch | null, count)
      break
    case MessageHeader.DictionaryBatch:
      checkBatch((message.header(new DictionaryBatch()) as DictionaryBatch | null)?.data() ?? null, count)
  }
  const body = Number(message.bodyLength())
  if (!(body >= 0 && body <= MOST_BODY)) throw new Error(`a body of ${body} bytes`)
  return body
}

function checkSchema(schema: Schema, count: Count): void {
  count.take(schema.customMetadataLength())
  count.take(schema.featuresLength())
  for (let i = count.take(schema.fieldsLength()) - 1; i >= 0; i--) checkField(schema.fields(i), count, 1)
}

function checkField(field: Field | null, count: Count, depth: number): void {
  if (!field) return
  if (depth > DEEPEST) throw new Error('types within types without end')
  count.take(field.customMetadataLength())
  for (let i = count.take(field.childrenLength()) - 1; i >= 0; i--)
    checkField(field.children(i), count, depth + 1)
}

function checkBatch(batch: RecordBatch | null, count: Count): void {
  if (!batch) return
  count.take(batch.nodesLength())
  count.take(batch.buffersLength())
}

/** Entries that there can be at most: each takes bytes of the message. */
class Count {
  constructor(private left: number) {}

  take(entries: number): number {
    this.left -= entries
    if (!(entries >= 0 && this.left >= 0)) throw new Error('more entries than it has room for')
    return entries
  }
}
