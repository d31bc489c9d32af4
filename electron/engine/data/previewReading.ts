import type { Job, ReadingPreview } from '#contract'
import { encodeConversation } from './conversationTokens'
import { readDocuments } from './documents'
import { templateFor } from './templates'
import type { TextTokenizer } from './textTokenizer'
import { loadTokenizer } from './tokenizer'

type PreviewReadingJob = Extract<Job, { kind: 'preview-reading' }>
type Shown = ReadingPreview['documents'][number]
type Kind = Shown['parts'][number]['as']

/** Tokens of a document that are shown. */
const SHOWN = 600

/**
 * The first documents of a corpus as a run would read them.
 *
 * @throws bad-input where the tokenizer has no template for conversations, or one that cannot write them
 */
export async function previewReading(job: PreviewReadingJob): Promise<ReadingPreview> {
  const { dataDir, corpus, tokenizer: row, reading, context } = job
  const template = corpus.conversations && templateFor(dataDir, row, corpus, reading.template)
  const tokenizer = await loadTokenizer(dataDir, row)
  const documents: Shown[] = []
  for await (const document of readDocuments(dataDir, corpus)) {
    const isText = typeof document === 'string'
    const { ids, mask } = isText
      ? { ids: tokenizer.encode(document), mask: undefined }
      : encodeConversation(tokenizer, template!, document)
    const assistant = reading.loss === 'assistant' ? mask : undefined
    /** Text has a BOS before it; a conversation's first token is what the second is told from. */
    const first = isText ? 0 : 1
    const end = reading.packing !== 'windows' ? first + context : Infinity
    const as = (i: number): Kind => {
      if (i >= end) return 'unread'
      return i >= first && (assistant?.[i] ?? 1) ? 'counted' : 'read'
    }
    documents.push(shown(tokenizer, ids, as))
    if (documents.length === job.count) break
  }
  return { documents }
}

function shown(tokenizer: TextTokenizer, ids: Int32Array, as: (i: number) => Kind): Shown {
  const parts: { pieces: Uint8Array[]; as: Kind }[] = []
  let counted = 0
  for (const [i, id] of ids.entries()) {
    const kind = as(i)
    if (kind === 'counted') counted++
    if (i >= SHOWN) continue
    if (parts.at(-1)?.as !== kind) parts.push({ pieces: [], as: kind })
    const special = tokenizer.special(id)
    parts.at(-1)!.pieces.push(special === undefined ? tokenizer.piece(id) : Buffer.from(special))
  }
  return {
    tokens: ids.length,
    counted,
    parts: parts.map(({ pieces, as }) => ({ text: Buffer.concat(pieces).toString('utf8'), as })),
  }
}
