import type { Batch } from '../../data/batchPlan'
import { countFrom } from '../../data/packing'
import type { TokenBatch } from '../tokenBatch'
import type { Written } from './figures'

/** A batch whose last sequences are written ones: prompt, what was written, and filling that does not count. */
export function withWritten(
  corpus: Batch,
  written: readonly Written[],
  { batch, context }: { batch: number; context: number },
): TokenBatch {
  const [inputs, targets] = [corpus.inputs.slice(), corpus.targets.slice()]
  const [corpora, starts] = [corpus.corpora.slice(), corpus.starts.slice()]
  const positions = corpus.positions?.slice()
  const labels = corpus.mask?.slice() ?? new Float32Array(batch * context).fill(1)
  const own = new Float32Array(batch * context)
  for (const [i, { prompt, ids, corpus: from, start }] of written.entries()) {
    const row = batch - written.length + i
    const [begin, end] = [row * context, (row + 1) * context]
    for (const array of [inputs, targets, labels]) array.fill(0, begin, end)
    const all = [...prompt, ...ids]
    inputs.set(all.slice(0, -1), begin)
    targets.set(all.slice(1), begin)
    own.fill(1, begin + prompt.length - 1, begin + all.length - 1)
    // It is one text, whatever other sequences hold.
    if (positions) countFrom(positions, begin, end)
    corpora[row] = from
    starts[row] = start
  }
  const mask = labels.map((one, i) => one + own[i]!)
  return {
    inputs,
    targets,
    ...(positions && { positions }),
    mask,
    apart: { labels, written: own },
    corpora,
    starts,
  }
}
