import type { Corpus, Teacher, Tokenizer } from '#contract'

/** What tests of definitions resolve them against: the library's rows, without their files. */

const createdAt = '2026-01-01T00:00:00.000Z'

/** @param letter of which its digest is made: tokenizers of one letter are the same file */
export const tokenizer = (name: string, letter: string, lossless = true): Tokenizer => ({
  id: name,
  name,
  kind: 'bpe',
  vocab: 300,
  digest: letter.repeat(64),
  lossless,
  createdAt,
})

export const teacher = (own: Pick<Teacher, 'id' | 'name' | 'source' | 'tokenizer' | 'model'>): Teacher => ({
  ...own,
  parameters: 1,
  digest: '0'.repeat(64),
  perplexity: {},
  calibrations: [],
  createdAt,
})

export const smallTeacher = (name: string, its: string): Teacher =>
  teacher({
    id: name,
    name,
    source: 'trained',
    tokenizer: its,
    model: {
      family: 'llama',
      vocab: 300,
      width: 8,
      layers: 1,
      heads: 1,
      kvHeads: 1,
      hidden: 16,
      context: 16,
      tied: true,
      ropeBase: 10000,
      normEpsilon: 1e-5,
    },
  })

export const corpus: Corpus = {
  id: 'recipes',
  name: 'recipes',
  format: 'text',
  source: '',
  bytes: 1000,
  documents: 40,
  heldOutDocuments: 2,
  digest: '1'.repeat(64),
  sample: '',
  createdAt,
}
