import type { ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { rmsNorm, rotate, swiglu } from './layers'
import type { TextReader } from './languageModel'
import { ropeTables } from './llama'
import { EMBEDDING, FINAL_NORM, HEAD, layerWeight, type LayerWeight } from './weights'

type Parameters = ReadonlyMap<string, tf.Tensor>

/** Added to the attention scores of what may not be seen; its exponential is 0 in float32. */
const FORBIDDEN = -1e9
/** The shortest graphs compiled: shorter prompts are padded, shorter caches are masked. */
const SHORTEST_PROMPT = 16
const SHORTEST_CACHE = 64

/** A layer's weights as a decoder multiplies with them: [in, out], those of one input side by side. */
interface Layer {
  attentionNorm: tf.Tensor1D
  /** [width, (heads + 2 kvHeads) * head size] */
  attention: tf.Tensor2D
  output: tf.Tensor2D
  feedForwardNorm: tf.Tensor1D
  /** [width, 2 * hidden] */
  gateAndUp: tf.Tensor2D
  down: tf.Tensor2D
}

/**
 * Reads tokens against a KV cache. Tokens read together make one pass (a prompt), a single one makes one pass over the
 * cache; lengths are rounded up to a few sizes, so that a handful of compiled graphs serve every position.
 *
 * The cache lives on the host. A pass gets it as an input and gives the keys and values of the new tokens only, which
 * are then written in their places: the cache is never copied. Keys lie transposed and weights are [in, out], because
 * ONNX Runtime multiplies a single row with such a matrix directly and packs a transposed one first.
 */
export class Decoder implements TextReader {
  /** Tokens read. */
  position = 0
  private readonly layers: Layer[]
  private readonly norm: tf.Tensor1D
  private readonly embedding: tf.Tensor2D
  private readonly head: tf.Tensor2D
  private readonly own: tf.Tensor[] = []
  private readonly rope: { cosine: Float32Array; sine: Float32Array }
  private readonly size: number
  /** Tokens that the cache has room for. */
  private room = 0
  /** Per layer [kvHeads, head size, room]. */
  private keys: Float32Array[] = []
  /** Per layer [kvHeads, room, head size]. */
  private values: Float32Array[] = []

  /** @param parameters must stay as they are while the decoder is used; it does not dispose of them */
  constructor(
    private readonly config: ModelConfig,
    parameters: Parameters,
  ) {
    this.size = config.width / config.heads
    this.rope = ropeTables(config, config.context)
    const matrix = (...names: string[]) =>
      this.keep(() => tf.transpose(tf.concat(names.map((name) => parameters.get(name) as tf.Tensor2D))))
    this.layers = Array.from({ length: config.layers }, (_, layer) => {
      const name = (which: LayerWeight) => layerWeight(layer, which)
      return {
        attentionNorm: parameters.get(name('attentionNorm')) as tf.Tensor1D,
        attention: matrix(name('query'), name('key'), name('value')),
        output: matrix(name('output')),
        feedForwardNorm: parameters.get(name('feedForwardNorm')) as tf.Tensor1D,
        gateAndUp: matrix(name('gate'), name('up')),
        down: matrix(name('down')),
      }
    })
    this.norm = parameters.get(FINAL_NORM) as tf.Tensor1D
    this.embedding = parameters.get(EMBEDDING) as tf.Tensor2D
    this.head = matrix(config.tied ? EMBEDDING : HEAD)
  }

  get context(): number {
    return this.config.context
  }

  reset(): void {
    this.position = 0
  }

  dispose(): void {
    tf.dispose(this.own)
  }

  /** @param ids one, or several from position 0 on */
  async read(ids: readonly number[]): Promise<Float32Array> {
    const count = ids.length === 1 ? 1 : bucket(ids.length, SHORTEST_PROMPT, this.config.context)
    const [logits, fresh] = tf.tidy(() => this.pass(ids, count))
    const [values, rows] = [(await logits.data()) as Float32Array, (await fresh.data()) as Float32Array]
    tf.dispose([logits, fresh])
    this.reserve(this.position + ids.length)
    this.remember(rows, count, ids.length)
    this.position += ids.length
    return values
  }

  /**
   * The mathematics of `forward`, for tokens behind those of the cache.
   *
   * @param count tokens of the pass; those beyond `ids` are padding
   * @returns logits [vocab], and keys and values of the new tokens, [2 * layers * kvHeads, count, head size]
   */
  private pass(ids: readonly number[], count: number): [tf.Tensor1D, tf.Tensor3D] {
    const { config, position, size, room } = this
    const { heads, kvHeads, hidden, width } = config
    const padded = new Int32Array(count)
    padded.set(ids)
    const rows = (table: Float32Array) =>
      tf.tensor2d(table.slice(position * size, (position + count) * size), [count, size])
    const rotation = { cosine: rows(this.rope.cosine), sine: rows(this.rope.sine) }
    const masks = this.masks(count)
    const epsilon = config.normEpsilon
    const scale = tf.scalar(1 / Math.sqrt(size))

    let x = tf.gather(this.embedding, tf.tensor1d(padded, 'int32')) as tf.Tensor2D
    const fresh: tf.Tensor3D[] = []
    for (const [at, layer] of this.layers.entries()) {
      const normal = rmsNorm(x, layer.attentionNorm, epsilon)
      const projected = tf.reshape(tf.matMul(normal, layer.attention), [count, heads + 2 * kvHeads, size])
      const byHead = count === 1 ? tf.reshape(projected, [-1, 1, size]) : tf.transpose(projected, [1, 0, 2])
      const [turning, value] = tf.split<tf.Tensor3D>(byHead, [heads + kvHeads, kvHeads])
      const turned = rotate(tf.reshape(turning!, [1, -1, count, size]), rotation)
      const [query, key] = tf.split<tf.Tensor3D>(tf.reshape(turned, [-1, count, size]), [heads, kvHeads])
      fresh.push(key!, value!)
      // The queries of a key's group in a row: grouped-query attention without repeating keys.
      const grouped = tf.reshape(tf.mul(query!, scale), [kvHeads, (heads / kvHeads) * count, size])
      const scores = [tf.add(tf.matMul(grouped, key!, false, true), masks.fresh)]
      if (position) {
        const keys = tf.tensor3d(this.keys[at]!, [kvHeads, size, room])
        scores.unshift(tf.add(tf.matMul(grouped, keys), masks.past!))
      }
      const weights = tf.softmax(tf.concat(scores, 2)) as tf.Tensor3D
      let mixed: tf.Tensor
      if (position) {
        const values = tf.tensor3d(this.values[at]!, [kvHeads, room, size])
        const [past, now] = tf.split(weights, [room, count], 2)
        mixed = tf.add(tf.matMul(past!, values), tf.matMul(now!, value!))
      } else {
        mixed = tf.matMul(weights, value!)
      }
      const joined = count === 1 ? mixed : tf.transpose(tf.reshape(mixed, [heads, count, size]), [1, 0, 2])
      const attended = tf.add(x, tf.matMul(tf.reshape(joined, [count, width]) as tf.Tensor2D, layer.output))
      const second = rmsNorm(attended as tf.Tensor2D, layer.feedForwardNorm, epsilon)
      const [gate, up] = tf.split<tf.Tensor2D>(tf.matMul(second, layer.gateAndUp), [hidden, hidden], 1)
      x = tf.add(attended, tf.matMul(swiglu(gate!, up!), layer.down))
    }
    const last = count === 1 ? x : (tf.gather(x, tf.tensor1d([ids.length - 1], 'int32')) as tf.Tensor2D)
    const logits = tf.matMul(rmsNorm(last, this.norm, epsilon), this.head)
    return [tf.reshape(logits, [config.vocab]), tf.concat(fresh, 0)]
  }

  /** `past` [room]: what of the cache is filled; `fresh` [group * count, count]: no look ahead. */
  private masks(count: number): { past?: tf.Tensor1D; fresh: tf.Tensor2D } {
    const rows = (this.config.heads / this.config.kvHeads) * count
    const mask = new Float32Array(rows * count)
    for (let i = 0; i < rows; i++) mask.fill(FORBIDDEN, i * count + (i % count) + 1, (i + 1) * count)
    const fresh = tf.tensor2d(mask, [rows, count])
    if (!this.position) return { fresh }
    return { past: tf.tensor1d(new Float32Array(this.room).fill(FORBIDDEN, this.position)), fresh }
  }

  /** Makes the cache long enough, in one of a few lengths. */
  private reserve(length: number): void {
    if (length <= this.room) return
    const { layers, kvHeads, context } = this.config
    const [before, room] = [this.room, bucket(length, SHORTEST_CACHE, context)]
    /** The same rows, each longer. */
    const widen = (old: Float32Array | undefined, count: number, from: number, to: number) => {
      const wide = new Float32Array(count * to)
      for (let i = 0; old && i < count; i++) wide.set(old.subarray(i * from, (i + 1) * from), i * to)
      return wide
    }
    const { size } = this
    const each = Array.from({ length: layers }, (_, layer) => layer)
    this.keys = each.map((l) => widen(this.keys[l], kvHeads * size, before, room))
    this.values = each.map((l) => widen(this.values[l], kvHeads, before * size, room * size))
    this.room = room
  }

  /** Writes the first `count` of the new tokens' keys and values behind those of the cache. */
  private remember(rows: Float32Array, stride: number, count: number): void {
    const { position, room, size } = this
    const { kvHeads } = this.config
    for (const layer of this.layers.keys()) {
      const [keys, values] = [this.keys[layer]!, this.values[layer]!]
      for (let head = 0; head < kvHeads; head++) {
        const key = (2 * layer * kvHeads + head) * stride * size
        const value = ((2 * layer + 1) * kvHeads + head) * stride * size
        values.set(rows.subarray(value, value + count * size), (head * room + position) * size)
        for (let t = 0; t < count; t++) {
          for (let i = 0; i < size; i++)
            keys[(head * size + i) * room + position + t] = rows[key + t * size + i]!
        }
      }
    }
  }

  private keep<T extends tf.Tensor>(make: () => T): T {
    const tensor = tf.keep(tf.tidy(make))
    this.own.push(tensor)
    return tensor
  }
}

/** The power of two from `least` on that `length` fits into, at most `most`. */
function bucket(length: number, least: number, most: number): number {
  let size = least
  while (size < length) size *= 2
  return Math.min(size, most)
}
