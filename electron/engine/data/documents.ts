import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Split = 'train' | 'held-out' | 'calibration'

/** Every twentieth document is held out, every twentieth is for calibration (contract: corpus). */
export function splitOf(index: number): Split {
  if (index % 20 === 0) return 'held-out'
  return index % 20 === 10 ? 'calibration' : 'train'
}

export const isHeldOut = (index: number) => splitOf(index) === 'held-out'

/** The documents of a corpus folder of the library, all or one split, in their order. */
export async function* readDocuments(folder: string, split?: Split): AsyncGenerator<string> {
  const lines = createInterface({
    input: createReadStream(join(folder, 'documents.jsonl')),
    crlfDelay: Infinity,
  })
  let index = 0
  for await (const line of lines) {
    if (line && (split === undefined || splitOf(index) === split))
      yield (JSON.parse(line) as { text: string }).text
    if (line) index++
  }
}
