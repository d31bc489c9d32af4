import { join } from 'node:path'
import {
  SCHEMA_VERSION,
  type ImportCheck,
  type ServedImport,
  type ServedModelConfig,
  type Tokenizer,
} from '#contract'
import { sha256File, writeJsonAtomic } from '../../../files'
import { loadTokenizer } from '../../data/tokenizer'
import { SERVED_FILE } from '../../model/modelFolder'
import { PARAGRAPH } from '../../model/selfCheck'
import { ServedClient } from './client'
import type { Alternatives } from './dialects'
import { Server } from './http'
import { probeServer } from './probe'
import { servedText, type ServedText } from './text'

/** Tokens of plain English that are asked at the import. */
const ASKED = 64
/** Of these, those that are asked again whenever a run asks the server. */
const KEPT = 16
/** Of the vocabulary, as `selfCheck`. */
const UNSURE = 0.5

/** What the import finds out; `write` gives the digest. */
export interface CheckedServer {
  model: ServedModelConfig
  check: ImportCheck
  write(folder: string): Promise<string>
}

/**
 * Asks a server what it can do, and a paragraph of plain English.
 *
 * @param url as `parseServedUrl` gives it
 * @throws as `probeServer`
 */
export async function checkServer(
  url: string,
  served: ServedImport,
  dataDir: string,
  row: Tokenizer,
): Promise<CheckedServer> {
  const text = await servedText(dataDir, row)
  const { vocab } = row
  const ids = [...(await loadTokenizer(dataDir, row)).encode(PARAGRAPH)]
  const probed = await probeServer(url, served, text, vocab, ids.slice(0, 3))
  const model: ServedModelConfig = { ...probed, vocab }
  const client = new ServedClient(new Server(model), model, text)
  const asked = ids.slice(0, Math.min(ASKED, model.context ?? ASKED))
  const began = performance.now()
  const said = await client.ask(asked)
  const tokensPerSecond = (1000 * asked.length) / Math.max(1, performance.now() - began)
  const probe = asked.slice(0, KEPT)
  const answered = said.slice(0, KEPT)
  return {
    model,
    check: checkOf(model, asked, said, text, tokensPerSecond),
    async write(folder) {
      const { url, model: name, dialect, k, ids, late } = model
      const file = join(folder, SERVED_FILE)
      writeJsonAtomic(file, {
        ...{ schemaVersion: SCHEMA_VERSION, url, model: name, dialect, k, ids, late, vocab },
        asked: probe,
        said: answered.map((one) => [...one]),
      })
      return sha256File(file)
    },
  }
}

function checkOf(
  { k, ids, vocab, url, key }: ServedModelConfig,
  asked: readonly number[],
  said: readonly Alternatives[],
  text: ServedText,
  tokensPerSecond: number,
): ImportCheck {
  let [loss, covered] = [0, 0]
  for (const [t, one] of said.entries()) {
    const sum = Math.min(
      1,
      [...one.values()].reduce((all, p) => all + Math.exp(p), 0),
    )
    covered += sum / said.length
    const next = asked[t + 1]
    if (next === undefined) continue
    loss -= one.get(next) ?? Math.log(Math.max(1e-9, (1 - sum) / Math.max(1, vocab - one.size)))
  }
  const perplexity = Math.exp(loss / (said.length - 1))
  const warnings = [
    perplexity > UNSURE * vocab && `it guesses, or does not know English, or has another tokenizer`,
    !ids &&
      `the server takes text alone: a run whose sequences are tokenized otherwise once they are text is refused, and ${text.untold} of ${vocab} tokens have no text of their own and count as the rest`,
    key && isOpen(url) && 'the key goes over a connection that is not encrypted',
  ].filter(Boolean)
  return {
    perplexity,
    sample: '',
    served: { k, covered, tokensPerSecond },
    ...(warnings.length && { warning: warnings.join('; ') }),
  }
}

/** Whether others can listen. */
function isOpen(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}
