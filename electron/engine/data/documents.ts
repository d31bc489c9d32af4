import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failed, type Corpus } from '#contract'
import { sha256File } from '../../files'

export type Split = 'train' | 'held-out' | 'calibration'

/** Every twentieth document is held out, every twentieth is for calibration (contract: corpus). */
export function splitOf(index: number): Split {
  if (index % 20 === 0) return 'held-out'
  return index % 20 === 10 ? 'calibration' : 'train'
}

export const isHeldOut = (index: number) => splitOf(index) === 'held-out'

/**
 * The documents of a corpus of the library, all or one split, in their order.
 *
 * @throws failed when they are not those that the corpus was imported with
 */
export async function* readDocuments(
  dataDir: string,
  corpus: Pick<Corpus, 'id' | 'name' | 'digest'>,
  split?: Split,
): AsyncGenerator<string> {
  const file = join(dataDir, 'library', 'corpora', corpus.id, 'documents.jsonl')
  if ((await sha256File(file)) !== corpus.digest)
    throw failed(
      `the text of corpus "${corpus.name}" has changed since it was imported (${file}); import it again`,
    )
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity })
  let index = 0
  for await (const line of lines) {
    if (line && (split === undefined || splitOf(index) === split))
      yield (JSON.parse(line) as { text: string }).text
    if (line) index++
  }
}
