import { ProtoWriter } from '../engine/backend/protobuf'
import { BOUNDARY, toTokenizerJson } from '../engine/data/byteBpe'
import { bytesToCharacters } from '../engine/data/bytes'

/** Valid files that come from other programs. */

/** A byte-level BPE of 256 bytes, the boundary and two merges. */
export function byteBpe(): unknown {
  const alphabet = Array.from({ length: 256 }, (_, byte) => bytesToCharacters(Uint8Array.of(byte)))
  const merges = [
    ['t', 'h'],
    ['th', 'e'],
  ] as const
  const vocab = new Map([BOUNDARY, ...alphabet, 'th', 'the'].map((piece, id) => [piece, id]))
  return toTokenizerJson({ vocab, merges })
}

/** SentencePiece's kind of BPE, as Hugging Face writes it for a Llama. */
export const sentencePiece = {
  version: '1.0',
  added_tokens: [
    {
      id: 0,
      content: '<unk>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
    {
      id: 1,
      content: '<s>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
  ],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: { '<unk>': 0, '<s>': 1, '<0x0A>': 2, '▁': 3, t: 4, h: 5, e: 6, th: 7, '▁the': 8, the: 9 },
    merges: ['t h', 'th e', '▁ the'],
  },
}

/** llama2.c's tokenizer of the bytes and two pieces. */
export function llama2cTokenizer(): Uint8Array {
  const pieces = ['<unk>', '<s>', '</s>', ...Array.from({ length: 256 }, (_, i) => `<0x${i}>`), ' ', 'th']
  const head = Buffer.alloc(4)
  head.writeInt32LE(16)
  const entries = pieces.map((piece, i) => {
    const body = Buffer.from(piece)
    const entry = Buffer.alloc(8)
    entry.writeFloatLE(-i)
    entry.writeInt32LE(body.length, 4)
    return Buffer.concat([entry, body])
  })
  return Buffer.concat([head, ...entries])
}

/** A graph of one node and two weights, one of them in a file beside it. */
export function onnx(external?: string): Uint8Array {
  const writer = new ProtoWriter()
  writer.integer(1, 9)
  writer.message(7, () => {
    writer.message(1, () => {
      writer.string(4, 'MatMul')
      writer.message(5, () => writer.message(5, () => writer.integers(1, [2])))
    })
    writer.message(5, () => {
      writer.integers(1, [2, 3])
      writer.integer(2, 1)
      if (external !== undefined)
        writer.message(13, () => {
          writer.string(1, 'location')
          writer.string(2, external)
        })
      else writer.raw(9, new Uint8Array(24))
    })
  })
  writer.message(14, () => {
    writer.string(1, 'context')
    writer.string(2, '128')
  })
  return writer.finish()
}
