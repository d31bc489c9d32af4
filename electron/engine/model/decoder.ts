import {
  attentionScale,
  EMBEDDING,
  headSize,
  HEAD,
  layerWeight,
  LLAMA,
  rotaries,
  windowOf,
  type ModelConfig,
} from '#contract'
import { tf } from '../backend/tf'
import { embedded, finalOf, FORBIDDEN, type Final, type Parameters } from './forward'
import { decoderLayer, MATRICES, TOGETHER, type LayerPass, type Rotations, type Together } from './layer'
import { softCap } from './layers'
import type { TextReader } from './reader'
import { rotaryRows, turningPoint } from './rotary'

/** The shortest graphs compiled: shorter prompts are padded, shorter caches are masked. */
const SHORTEST_PROMPT = 16
const SHORTEST_CACHE = 64

/** Matrices with the same input as a decoder multiplies with them: side by side, [in, out]. */
interface Joined {
  matrix: tf.Tensor2D
  bias?: tf.Tensor1D
  /** The columns of each. */
  widths: number[]
}

/** Masks of a window: `past` [room], what of the cache is filled and near enough; `fresh` [count, count], no look ahead. */
interface Masks {
  past?: tf.Tensor1D
  fresh: tf.Tensor2D
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
  private readonly joined: Map<string, Joined>[]
  private readonly head: tf.Tensor2D
  private readonly own: tf.Tensor[] = []
  private readonly size: number
  /** Tokens read. */
  private ids: number[] = []
  /** Tokens that the cache has room for. */
  private room = 0
  /** Per layer [kvHeads, head size, room]. */
  private keys: Float32Array[] = []
  /** Per layer [kvHeads, room, head size]. */
  private values: Float32Array[] = []

  /** @param parameters must stay as they are while the decoder is used; it does not dispose of them */
  constructor(
    private readonly config: ModelConfig,
    private readonly parameters: Parameters,
  ) {
    this.size = headSize(config)
    this.joined = Array.from({ length: config.layers }, (_, layer) => {
      const { gated } = (config.architecture ?? LLAMA).feedForward
      const groups = TOGETHER.filter((group) => group[0] !== (gated ? 'up' : 'gate'))
      return new Map(groups.map((group) => [group.join(), this.join(layer, group)]))
    })
    this.head = this.keep(() => {
      const rows = parameters.get(config.tied ? EMBEDDING : HEAD) as tf.Tensor2D
      return tf.transpose(config.rows ? tf.slice(rows, [0, 0], [config.vocab, -1]) : rows)
    })
  }

  get context(): number {
    return this.config.context
  }

  get position(): number {
    return this.ids.length
  }

  reset(): void {
    this.ids = []
  }

  dispose(): void {
    tf.dispose(this.own)
  }

  /** @param ids one, or several from position 0 on */
  async read(ids: readonly number[]): Promise<Float32Array> {
    const turning = turningPoint(this.config)
    if (this.position && this.position <= turning && this.position + ids.length > turning) {
      // The keys that are kept were turned as those of a short text.
      const all = [...this.ids, ...ids]
      this.reset()
      return this.read(all)
    }
    const count = ids.length === 1 ? 1 : bucket(ids.length, SHORTEST_PROMPT, this.config.context)
    const [logits, fresh] = tf.tidy(() => this.pass(ids, count))
    const [values, rows] = [(await logits.data()) as Float32Array, (await fresh.data()) as Float32Array]
    tf.dispose([logits, fresh])
    this.reserve(this.position + ids.length)
    this.remember(rows, count, ids.length)
    this.ids.push(...ids)
    return values
  }

  /**
   * @param count tokens of the pass; those beyond `ids` are padding
   * @returns logits [vocab], and keys and values of the new tokens, [2 * layers * kvHeads, count, head size]
   */
  private pass(ids: readonly number[], count: number): [tf.Tensor1D, tf.Tensor3D] {
    const { config, parameters, position } = this
    const padded = new Int32Array(count)
    padded.set(ids)
    const rotations = this.rotations(count, position + ids.length)
    const masks = new Map<number, Masks>()
    const fresh: tf.Tensor[] = []
    let x = embedded(config, parameters, tf.tensor1d(padded, 'int32'), position, count)
    for (let layer = 0; layer < config.layers; layer++) {
      const window = windowOf(config, layer)
      if (!masks.has(window)) masks.set(window, this.masks(count, window))
      x = decoderLayer(config, layer, x, this.layerPass(layer, count, rotations, masks.get(window)!, fresh))
    }
    const last = count === 1 ? x : (tf.gather(x, tf.tensor1d([ids.length - 1], 'int32')) as tf.Tensor2D)
    const logits = this.logits(finalOf(config, parameters, last))
    return [tf.reshape(logits, [config.vocab]), tf.concat(fresh, 0) as tf.Tensor3D]
  }

  private logits({ normal, cap }: Final): tf.Tensor2D {
    return softCap(tf.matMul<tf.Tensor2D>(normal, this.head), cap)
  }

  private layerPass(
    layer: number,
    count: number,
    rotations: readonly Rotations[],
    masks: Masks,
    fresh: tf.Tensor[],
  ): LayerPass {
    const joined = this.joined[layer]!
    return {
      batch: 1,
      time: count,
      rotations,
      project(x, matrices) {
        const { matrix, bias, widths } = joined.get(matrices.join())!
        const product = tf.matMul<tf.Tensor2D>(x, matrix)
        const all = bias ? tf.add<tf.Tensor2D>(product, bias) : product
        return widths.length === 1 ? [all] : tf.split<tf.Tensor2D>(all, widths, 1)
      },
      vector: (which) => this.parameters.get(layerWeight(layer, which)) as tf.Tensor1D | undefined,
      attend: (query, key, value) => {
        const shape = [this.config.kvHeads, count, this.size] as [number, number, number]
        const [k, v] = [key, value].map((x) => tf.reshape(x, shape) as tf.Tensor3D) as [
          tf.Tensor3D,
          tf.Tensor3D,
        ]
        fresh.push(k, v)
        return this.attend(layer, query, k, v, masks)
      },
    }
  }

  /** Attention over the cache and the new tokens: query [1, heads, count, size], key and value [kvHeads, count, size]. */
  private attend(
    layer: number,
    query: tf.Tensor4D,
    key: tf.Tensor3D,
    value: tf.Tensor3D,
    masks: Masks,
  ): tf.Tensor4D {
    const { size, room } = this
    const { heads, kvHeads, architecture } = this.config
    const [, , count] = query.shape
    const { cap } = (architecture ?? LLAMA).attention
    // The queries of a key's group in a row: grouped-query attention without repeating keys.
    const grouped = tf.reshape(query, [kvHeads, (heads / kvHeads) * count, size])
    const scored = (keys: tf.Tensor3D, mask: tf.Tensor, transposed: boolean) =>
      tf.add(softCap(tf.matMul<tf.Tensor3D>(grouped, keys, false, transposed), cap), mask)
    const scores = [scored(key, masks.fresh, true)]
    if (masks.past)
      scores.unshift(scored(tf.tensor3d(this.keys[layer]!, [kvHeads, size, room]), masks.past, false))
    const weights = tf.softmax(tf.concat(scores, 2)) as tf.Tensor3D
    let mixed: tf.Tensor
    if (masks.past) {
      const values = tf.tensor3d(this.values[layer]!, [kvHeads, room, size])
      const [past, now] = tf.split(weights, [room, count], 2)
      mixed = tf.add(tf.matMul(past!, values), tf.matMul(now!, value))
    } else {
      mixed = tf.matMul(weights, value)
    }
    return tf.reshape(mixed, [1, heads, count, size])
  }

  /** @param length of the text with the new tokens */
  private rotations(count: number, length: number): Rotations[] {
    const { config, position } = this
    const rows = rotaryRows(config, position, count, length)
    const scale = attentionScale(config, 0)
    return rotaries(config).map(({ dimensions }, i) => {
      const { cosine, sine } = rows[i]!
      const table = (data: Float32Array) => tf.tensor2d(data, [count, dimensions])
      return {
        key: { cosine: table(cosine), sine: table(sine) },
        query: { cosine: table(cosine.map((c) => c * scale)), sine: table(sine.map((s) => s * scale)) },
      }
    })
  }

  private masks(count: number, window: number): Masks {
    const { position, room } = this
    const rows = (this.config.heads / this.config.kvHeads) * count
    const mask = new Float32Array(rows * count)
    for (let i = 0; i < rows; i++) {
      const at = i % count
      mask.fill(FORBIDDEN, i * count + at + 1, (i + 1) * count)
      mask.fill(FORBIDDEN, i * count, i * count + Math.max(0, at + 1 - window))
    }
    const fresh = tf.tensor2d(mask, [rows, count])
    if (!position) return { fresh }
    const past = new Float32Array(room).fill(FORBIDDEN, position)
    return { fresh, past: tf.tensor1d(past.fill(FORBIDDEN, 0, Math.max(0, position + 1 - window))) }
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
    for (const layer of this.joined.keys()) {
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

  private join(layer: number, group: Together): Joined {
    const matrices = group.map((which) => this.parameters.get(layerWeight(layer, which)) as tf.Tensor2D)
    const biases = group.map(
      (which) => this.parameters.get(layerWeight(layer, MATRICES[which])) as tf.Tensor1D,
    )
    return {
      matrix: this.keep(() => tf.transpose(tf.concat(matrices))),
      ...(biases[0] && { bias: this.keep(() => tf.concat(biases)) }),
      widths: matrices.map(({ shape }) => shape[0]),
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
