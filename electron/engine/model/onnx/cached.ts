import { attentionScale, headSize, LLAMA, rotaries, windowOf, windowsOf, type ModelConfig } from '#contract'
import type { Data } from '../../backend/graph'
import { tf } from '../../backend/tf'
import { embedded, finalLogits, finalOf, wholePass, type Parameters } from '../forward'
import { decoderLayer, type LayerPass, type Rotations } from '../layer'
import { softCap } from '../layers'
import type { CachedTables } from './tables'

/** Sizes of the pass that is recorded: the new tokens, and those with what came before. */
export interface CachedSizes {
  batch: number
  time: number
  total: number
}

/** The keys or values of a layer, by the names that Optimum and transformers.js have for them. */
export const pastName = (layer: number, which: 'key' | 'value') => `past_key_values.${layer}.${which}`
export const presentName = (layer: number, which: 'key' | 'value') => `present.${layer}.${which}`

interface Said {
  /** [batch * time, vocab] */
  logits: tf.Tensor2D
  hidden: tf.Tensor2D[]
  /** Of each layer keys and values of all tokens, [batch, kvHeads, total, size]. */
  present: { key: tf.Tensor4D; value: tf.Tensor4D }[]
}

/**
 * A forward pass over new tokens behind the keys and values of earlier ones, as it is recorded for a file.
 *
 * @param note hears of the arrays that stand for inputs, and of what stands for them in the file
 */
export function cachedPass(
  config: ModelConfig,
  parameters: Parameters,
  { batch, time, total }: CachedSizes,
  tables: CachedTables,
  note: (data: Data, name: () => string) => void,
): Said {
  const { kvHeads } = config
  const [size, past] = [headSize(config), total - time]
  const given = (shape: number[], name: () => string) => {
    const data = view(shape)
    note(data, name)
    return tf.tensor(data, shape)
  }
  const integers = (name: string) => {
    const data = new Int32Array(batch * time)
    note(data, () => name)
    return tf.tensor1d(data, 'int32')
  }
  const masks = new Map(
    [...windowsOf(config)].map((window) => [
      window,
      given(
        [batch, 1, time, total],
        once(() => tables.mask(window)),
      ) as tf.Tensor4D,
    ]),
  )
  const rotations = rotaries(config).map(({ dimensions }, which): Rotations => {
    const rotation = (scale: number) => {
      const made = once(() => tables.rotation(which, scale))
      const table = (part: 'cosine' | 'sine') =>
        given([batch, 1, time, dimensions], () => made()[part]) as unknown as tf.Tensor2D
      return { cosine: table('cosine'), sine: table('sine') }
    }
    return { key: rotation(1), query: rotation(attentionScale(config, 0)) }
  })
  const { cap } = (config.architecture ?? LLAMA).attention
  const present: Said['present'] = []
  let x = embedded(config, parameters, integers('input_ids'), integers('position_ids'), time)
  const hidden = [x]
  for (let layer = 0; layer < config.layers; layer++) {
    const before = (which: 'key' | 'value') =>
      given([batch, kvHeads, past, size], () => pastName(layer, which)) as tf.Tensor4D
    const mask = masks.get(windowOf(config, layer))!
    const attend: LayerPass['attend'] = (query, key, value) => {
      const all = {
        key: tf.concat([before('key'), key], 2) as tf.Tensor4D,
        value: tf.concat([before('value'), value], 2) as tf.Tensor4D,
      }
      present.push(all)
      const rows = (of: tf.Tensor4D, length: number) => tf.reshape(of, [batch * kvHeads, length, -1])
      const stacked = (config.heads / kvHeads) * time
      const scores = tf.matMul<tf.Tensor3D>(
        rows(query, stacked) as tf.Tensor3D,
        rows(all.key, total) as tf.Tensor3D,
        false,
        true,
      )
      const each = tf.reshape(softCap(scores, cap), [batch, config.heads, time, total])
      const weights = tf.softmax(tf.add(each, mask)) as tf.Tensor4D
      const mixed = tf.matMul(rows(weights, stacked), rows(all.value, total))
      return tf.reshape(mixed, [batch, config.heads, time, size])
    }
    const pass: LayerPass = { ...wholePass(config, parameters, layer, batch, { time, rotations }), attend }
    x = decoderLayer(config, layer, x, pass)
    hidden.push(x)
  }
  return { logits: finalLogits(finalOf(config, parameters, x)), hidden, present }
}

/** What a name stands for is made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** The arrays' numbers are never looked at: one buffer stands for all of them. */
let shared = new Float32Array()
function view(shape: readonly number[]): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1)
  if (shared.length < length) shared = new Float32Array(length)
  return shared.subarray(0, length)
}
