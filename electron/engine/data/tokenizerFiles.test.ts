import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BOUNDARY, toTokenizerJson } from './byteBpe'
import { bytesToCharacters } from './bytes'
import { openTokenizer } from './tokenizer'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const alphabet = Array.from({ length: 256 }, (_, byte) => bytesToCharacters(Uint8Array.of(byte)))
const ids = () => new Map([BOUNDARY, ...alphabet].map((piece, id) => [piece, id]))

/** Opens the file that this says. */
function open(kind: 'bpe' | 'huggingface', json: unknown) {
  const file = join(folder, 'tokenizer.json')
  writeFileSync(file, JSON.stringify(json))
  return openTokenizer(file, kind)
}

describe('a tokenizer.json whose ids are not those of its tokens', () => {
  it('has an id of billions: refused before anybody asks for all of them', () => {
    for (const kind of ['bpe', 'huggingface'] as const) {
      const json = toTokenizerJson({ vocab: ids().set('th', 2 ** 40), merges: [] })
      expect(() => open(kind, json)).toThrow(
        /tokenizer\.json: model\.vocab: an id is 1099511627776, of \d+ tokens/,
      )
    }
  })

  it('lacks a byte, has one id twice, merges what is no token, or has a piece of no bytes', () => {
    const without = ids()
    without.delete('a')
    expect(() => open('bpe', toTokenizerJson({ vocab: without, merges: [] }))).toThrow(
      /no .* with an id below/,
    )
    const twice = ids().set('th', 5)
    expect(() => open('bpe', toTokenizerJson({ vocab: twice, merges: [] }))).toThrow(/no bytes of its own/)
    expect(() => open('bpe', toTokenizerJson({ vocab: ids(), merges: [['t', 'h']] }))).toThrow(/has no "th"/)
    expect(() => open('bpe', toTokenizerJson({ vocab: ids().set('日', 257), merges: [] }))).toThrow(
      /no bytes/,
    )
    expect(open('bpe', toTokenizerJson({ vocab: ids(), merges: [] })).encode('a')).toHaveLength(1)
  })
})
