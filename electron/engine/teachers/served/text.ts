import { join } from 'node:path'
import { failed, LIBRARY_ROW, parse, tokenizer as tokenizerRow, type Tokenizer } from '#contract'
import { readJson } from '../../../files'
import { loadTokenizer } from '../../data/tokenizer'
import { beginningText, type TextTokenizer } from '../../data/textTokenizer'

/** Tokens that are tried behind a sequence, until one does not change how its text is tokenized. */
const TRIED = 256

/** Token ids as text, for servers that take no ids or give none. */
export class ServedText {
  private ids: ReadonlyMap<string, number | undefined> | undefined

  /** @param beginning what stands before documents, as a server reads it as one token; absent where there is no such text */
  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly beginning?: string,
  ) {}

  get bos(): number {
    return this.tokenizer.bos
  }

  /** The token with that text, where it is one alone: pieces of a character have no text of their own. */
  idOf(text: string): number | undefined {
    this.ids ??= textsOf(this.tokenizer)
    return this.ids.get(text)
  }

  /** Ids that no text tells from others; their probability counts as the rest. */
  get untold(): number {
    this.ids ??= textsOf(this.tokenizer)
    return this.tokenizer.vocab - [...this.ids.values()].filter((id) => id !== undefined).length
  }

  /** A sequence without the zeros that windows are filled up with; text has no two ids without text in a row. */
  withoutPadding(ids: readonly number[]): readonly number[] {
    const length = ids.findLastIndex((id) => id !== 0) + 1
    return ids.length - length > 1 && !this.tokenizer.piece(0).length ? ids.slice(0, length) : ids
  }

  /** A sequence with one token behind it, which a server that takes text reads as its own. */
  oneMore(ids: readonly number[], asIds: boolean, url: string, butNot?: number): number[] {
    for (let i = -1; i < Math.min(TRIED, this.tokenizer.vocab); i++) {
      const more = i < 0 ? ids.at(-1)! : i
      if (more !== butNot && (asIds || this.returns([...ids, more]))) return [...ids, more]
    }
    throw this.unaskable(url)
  }

  /**
   * What a server has to be given to read these ids.
   *
   * @throws failed when their text is other ids
   */
  of(ids: readonly number[], url: string): string {
    if (!this.returns(ids)) throw this.unaskable(url)
    return this.written(ids)
  }

  private written(ids: readonly number[]): string {
    const begins = ids[0] === this.bos && this.beginning !== undefined
    return begins ? this.beginning + this.tokenizer.decode(ids.slice(1)) : this.tokenizer.decode(ids)
  }

  private returns(ids: readonly number[]): boolean {
    const plain = ids[0] === this.bos && this.beginning !== undefined ? ids.slice(1) : ids
    const again = this.tokenizer.encode(this.tokenizer.decode(plain))
    return again.length === plain.length && plain.every((id, i) => id === again[i])
  }

  private unaskable(url: string) {
    return failed(
      `server ${url} takes text alone, and a sequence of the run is tokenized otherwise once it is text; expected a server that takes token ids, as vLLM and SGLang do`,
    )
  }
}

/** @param tokenizer the id of one of the library */
export async function openServedText(dataDir: string, tokenizer: string): Promise<ServedText> {
  const file = join(dataDir, 'library', 'tokenizers', tokenizer, LIBRARY_ROW)
  const row: Tokenizer = parse(tokenizerRow, readJson(file), file)
  return servedText(dataDir, row)
}

export async function servedText(dataDir: string, row: Tokenizer): Promise<ServedText> {
  const tokenizer = await loadTokenizer(dataDir, row)
  return new ServedText(tokenizer, beginningText(tokenizer))
}

function textsOf({ vocab, piece }: TextTokenizer): Map<string, number | undefined> {
  const ids = new Map<string, number | undefined>()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  for (let id = 0; id < vocab; id++) {
    let text: string
    try {
      text = decoder.decode(piece(id))
    } catch {
      continue
    }
    if (text) ids.set(text, ids.has(text) ? undefined : id)
  }
  return ids
}
