/** One batch of windows for a model: everything [batch * context], row after row. */
export interface WindowBatch {
  inputs: Int32Array
  targets: Int32Array
  /** 1 where the target is scored here, 0 where another window scores it, it is a BOS, or the row is padding. */
  weights: Float32Array
  /** Where in the ids each row begins; -1 for a row of padding. */
  starts: Int32Array
}

export interface WindowOptions {
  context: number
  /** Windows a batch; the last batch is padded, so that all have one shape. */
  batch: number
  /** A separator between documents: it is context, never a target that counts. */
  bos?: number
  /** 1 where a target counts, [ids]; absent where all do. */
  mask?: Uint8Array
  /** Begin and end of documents that are read apart, [begin, end, begin, end, ...]; absent where the ids are one text. */
  documents?: Int32Array
  /** Tokens between the starts of two windows. Default: half the context, so that every token but the first window's
   * is scored with at least half a context before it. */
  stride?: number
}

/**
 * Sliding windows over token ids that score every token after the first exactly once (METHOD: perplexity).
 * Window w reads ids[start .. start + context) and predicts the next ones; the first window scores all of its targets,
 * each later one only those that the windows before did not reach. Documents that are read apart have windows of their
 * own, each the first of its document.
 */
export function scoringWindows(ids: Int32Array, options: WindowOptions): WindowBatch[] {
  const { context, batch, bos, mask, stride = Math.max(1, Math.floor(context / 2)) } = options
  const documents = options.documents ?? [0, ids.length]
  const batches: WindowBatch[] = []
  let row = 0
  for (let document = 0; document < documents.length; document += 2) {
    const end = documents[document + 1]!
    let scored = documents[document]!
    for (let start = scored; scored < end - 1; start += stride, row++) {
      if (row % batch === 0) batches.push(emptyBatch(batch * context, batch))
      const { inputs, targets, weights, starts } = batches[batches.length - 1]!
      starts[row % batch] = start
      const offset = (row % batch) * context
      for (let i = 0; i < context && start + i + 1 < end; i++) {
        inputs[offset + i] = ids[start + i]!
        targets[offset + i] = ids[start + i + 1]!
        if (start + i < scored) continue
        weights[offset + i] = mask ? mask[start + i + 1]! : ids[start + i + 1] === bos ? 0 : 1
        scored = start + i + 1
      }
    }
  }
  return batches
}

/** A batch of `size` tokens in `rows` rows that scores none. */
export function emptyBatch(size: number, rows: number): WindowBatch {
  const [inputs, targets] = [new Int32Array(size), new Int32Array(size)]
  return { inputs, targets, weights: new Float32Array(size), starts: new Int32Array(rows).fill(-1) }
}

/** Some rows of a batch of windows, and where in the batches they stand: `first` counts tokens. */
export interface WindowPart extends WindowBatch {
  at: { batch: number; first: number }
}

/** The batches cut into parts of `tokens` tokens each, which divides a batch: what is computed at a time. */
export function partsOf(windows: readonly WindowBatch[], tokens: number): WindowPart[] {
  return windows.flatMap(({ inputs, targets, weights, starts }, batch) => {
    const count = inputs.length / tokens
    return Array.from({ length: count }, (_, i) => {
      const part = <T extends Int32Array | Float32Array>(all: T) =>
        all.subarray((i * all.length) / count, ((i + 1) * all.length) / count) as T
      return {
        inputs: part(inputs),
        targets: part(targets),
        weights: part(weights),
        starts: part(starts),
        at: { batch, first: i * tokens },
      }
    })
  })
}
