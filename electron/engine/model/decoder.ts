import {
  attentionScale,
  EMBEDDING,
  headSize,
  HEAD,
  layerWeight,
  LLAMA,
  rotaries,
  windowOf,
  windowsOf,
  type ModelConfig,
} from '#contract'
import { newReplay } from '../backend'
import type { Recurring } from '../backend/replay'
import { tf } from '../backend/tf'
import { embedded, finalOf, FORBIDDEN, type Final, type Parameters } from './forward'
import { bucket, KvCache } from './kvCache'
import { decoderLayer, groupsOf, MATRICES, type LayerPass, type Rotations, type Together } from './layer'
import { softCap } from './layers'
import { mergedMatrix } from './lora'
import type { TextReader } from './reader'
import { rotaryRows, turningPoint } from './rotary'

/** The shortest graph compiled: shorter prompts are padded. */
const SHORTEST_PROMPT = 16

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

/** What is other data in each pass. */
interface Given {
  /** The position of the first token, then the ids: [1 + count]. */
  ids: Int32Array
  /** Tokens of the pass, of which `real` are no padding. */
  count: number
  real: number
  /** Of each rotary position, [count, dimensions]: cosines and sines of keys, and those of queries, scaled. */
  rotations: { dimensions: number; arrays: readonly Float32Array[] }[]
  /** By window, which places of the cache may be looked at: [room]; none at the beginning. */
  past: Map<number, Float32Array>
}

type Said = Record<'logits' | 'fresh', tf.Tensor>

/**
 * Reads tokens against a KV cache. Tokens read together make one pass (a prompt), a single one makes one pass over the
 * cache; lengths are rounded up to a few sizes, so that a handful of compiled graphs serve every position.
 *
 * A pass gets the cache as an input and gives the keys and values of the new tokens only, which are then written in their
 * places: the cache is never copied. Weights are [in, out], because ONNX Runtime multiplies a single row with such a
 * matrix directly and packs a transposed one first.
 */
export class Decoder implements TextReader {
  private readonly joined: Map<string, Joined>[]
  private readonly head: tf.Tensor2D
  private readonly own: tf.Tensor[] = []
  private readonly size: number
  /** Tokens read. */
  private ids: number[] = []
  private readonly cache: KvCache
  private readonly windows: ReadonlySet<number>
  /** Passes of a single token are alike but for their data. */
  private readonly replay = tf.getBackend() === 'onnx' ? newReplay() : undefined

  /** @param parameters must stay as they are while the decoder is used; it does not dispose of them */
  constructor(
    private readonly config: ModelConfig,
    private readonly parameters: Parameters,
  ) {
    this.size = headSize(config)
    this.cache = new KvCache(config)
    this.windows = windowsOf(config)
    this.joined = Array.from({ length: config.layers }, (_, layer) => {
      return new Map(groupsOf(config).map((group) => [group.join(), this.join(layer, group)]))
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
    const given = this.given(ids, count)
    const { logits, fresh } =
      this.replay && this.position && count === 1
        ? fromMap(await this.replay.run(this.recurring(given)))
        : tf.tidy(() => this.pass(given))
    const [values, rows] = [(await logits.data()) as Float32Array, (await fresh.data()) as Float32Array]
    tf.dispose([logits, fresh])
    this.cache.write(rows, count, this.position, ids.length)
    this.ids.push(...ids)
    return values
  }

  private recurring(given: Given): Recurring {
    const { ids, rotations, past } = given
    return {
      key: `${this.cache.room}`,
      arrays: [ids, ...rotations.flatMap(({ arrays }) => arrays), ...past.values(), this.cache.data],
      compute: () => new Map(Object.entries(this.pass(given))),
    }
  }

  /**
   * What is other data in each pass.
   *
   * @param count tokens of the pass; those beyond `ids` are padding
   */
  private given(ids: readonly number[], count: number): Given {
    const { config, position } = this
    // The position before them: the same token again is other data nevertheless.
    const padded = new Int32Array(1 + count)
    padded.set([position, ...ids])
    const rows = rotaryRows(config, position, count, position + ids.length)
    const scale = attentionScale(config, 0)
    const rotations = rotaries(config).map(({ dimensions }, i) => {
      const { cosine, sine } = rows[i]!
      const arrays = [cosine, sine, cosine.map((c) => c * scale), sine.map((s) => s * scale)] as const
      return { dimensions, arrays }
    })
    const past = new Map<number, Float32Array>()
    for (const window of position ? this.windows : []) {
      const mask = new Float32Array(this.cache.room).fill(FORBIDDEN, position)
      past.set(window, mask.fill(FORBIDDEN, 0, Math.max(0, position + 1 - window)))
    }
    return { ids: padded, count, real: ids.length, rotations, past }
  }

  /** @returns logits [vocab], and keys and values of the new tokens, [2 * layers * kvHeads, count, head size] */
  private pass(given: Given): Said {
    const { config, parameters, position } = this
    const { count, real, past } = given
    const rotations = given.rotations.map(({ dimensions, arrays }): Rotations => {
      const [cosine, sine, ...query] = arrays.map((data) => tf.tensor2d(data, [count, dimensions])) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ]
      return { key: { cosine, sine }, query: { cosine: query[0], sine: query[1] } }
    })
    const masks = new Map<number, Masks>()
    const fresh: tf.Tensor[] = []
    let x = embedded(config, parameters, tf.tensor1d(given.ids.subarray(1), 'int32'), position, count)
    for (let layer = 0; layer < config.layers; layer++) {
      const window = windowOf(config, layer)
      if (!masks.has(window)) masks.set(window, this.masks(count, window, past.get(window)))
      x = decoderLayer(config, layer, x, this.layerPass(layer, count, rotations, masks.get(window)!, fresh))
    }
    const last = count === 1 ? x : (tf.gather(x, tf.tensor1d([real - 1], 'int32')) as tf.Tensor2D)
    const logits = this.logits(finalOf(config, parameters, last))
    return { logits: tf.reshape(logits, [config.vocab]), fresh: tf.concat(fresh, 0) }
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
    const { size, cache } = this
    const { room } = cache
    const { heads, kvHeads, architecture } = this.config
    const [, , count] = query.shape
    const { cap } = (architecture ?? LLAMA).attention
    // The queries of a key's group in a row: grouped-query attention without repeating keys.
    const grouped = tf.reshape(query, [kvHeads, (heads / kvHeads) * count, size])
    const scored = (keys: tf.Tensor3D, mask: tf.Tensor, transposed: boolean) =>
      tf.add(softCap(tf.matMul<tf.Tensor3D>(grouped, keys, false, transposed), cap), mask)
    const scores = [scored(key, masks.fresh, true)]
    if (masks.past)
      scores.unshift(scored(tf.tensor3d(cache.keys[layer]!, [kvHeads, size, room]), masks.past, false))
    const weights = tf.softmax(tf.concat(scores, 2)) as tf.Tensor3D
    let mixed: tf.Tensor
    if (masks.past) {
      const values = tf.tensor3d(cache.values[layer]!, [kvHeads, room, size])
      const [past, now] = tf.split(weights, [room, count], 2)
      mixed = tf.add(tf.matMul(past!, values), tf.matMul(now!, value))
    } else {
      mixed = tf.matMul(weights, value)
    }
    return tf.reshape(mixed, [1, heads, count, size])
  }

  private masks(count: number, window: number, past: Float32Array | undefined): Masks {
    const rows = (this.config.heads / this.config.kvHeads) * count
    const mask = new Float32Array(rows * count)
    for (let i = 0; i < rows; i++) {
      const at = i % count
      mask.fill(FORBIDDEN, i * count + at + 1, (i + 1) * count)
      mask.fill(FORBIDDEN, i * count, i * count + Math.max(0, at + 1 - window))
    }
    const fresh = tf.tensor2d(mask, [rows, count])
    return past ? { fresh, past: tf.tensor1d(past) } : { fresh }
  }

  private join(layer: number, group: Together): Joined {
    const matrices = () => group.map((which) => mergedMatrix(this.parameters, layerWeight(layer, which)))
    const biases = group.map(
      (which) => this.parameters.get(layerWeight(layer, MATRICES[which])) as tf.Tensor1D,
    )
    return {
      matrix: this.keep(() => tf.transpose(tf.concat(matrices()))),
      ...(biases[0] && { bias: this.keep(() => tf.concat(biases)) }),
      widths: group.map((which) => this.parameters.get(layerWeight(layer, which))!.shape[0]!),
    }
  }

  private keep<T extends tf.Tensor>(make: () => T): T {
    const tensor = tf.keep(tf.tidy(make))
    this.own.push(tensor)
    return tensor
  }
}

function fromMap(results: ReadonlyMap<string, tf.Tensor>): Said {
  return { logits: results.get('logits')!, fresh: results.get('fresh')! }
}
