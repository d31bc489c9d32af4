import { tf } from '../backend/tf'
import { softCap } from './layers'

/** Added to the scores: [time, time] of all sequences, or of each [batch, 1, time, time]. */
export type Mask = tf.Tensor2D | tf.Tensor4D

/**
 * Causal attention: softmax(q k^T + mask) v, the queries scaled already. Each key and value head serves heads / kvHeads
 * query heads in a row; those are stacked as more queries of one head, so that nothing is repeated. With P the
 * probabilities and o the result, the scores' gradient is P * (do v^T - rowsum(do * o)) (Dao 2022).
 *
 * The queries are taken in blocks in the order of time: a block looks at no key after it, so that nearly half of the
 * scores of a long context are neither computed nor kept (measured, forward and backward: 256 tokens -13 %, 512 -28 %).
 *
 * @param query [batch, heads, time, size]
 * @param key [batch, kvHeads, time, size]
 * @param value [batch, kvHeads, time, size]
 * @param cap scores s become cap * tanh(s / cap) before that; its slope there is 1 - tanh(s / cap)^2
 * @returns [batch, heads, time, size]
 */
export function causalAttention(
  query: tf.Tensor4D,
  key: tf.Tensor4D,
  value: tf.Tensor4D,
  mask: Mask,
  cap?: number,
): tf.Tensor4D {
  const [batch, heads, time, size] = query.shape
  const kvHeads = key.shape[1]
  const blocks = new QueryBlocks({ batch, heads, kvHeads, time, size })
  const op = tf.customGrad((a, b, c, save) => {
    const k = blocks.single(b as tf.Tensor4D)
    const v = blocks.single(c as tf.Tensor4D)
    const parts = blocks.ranges.map((range) => {
      const q = blocks.queries(a as tf.Tensor4D, range)
      const scores = softCap(tf.matMul<tf.Tensor3D>(q, blocks.until(k, range), false, true), cap)
      const p = blocks.masked(scores, mask, range)
      return { q, p, o: tf.matMul<tf.Tensor3D>(p, blocks.until(v, range)), scores }
    })
    const saved = parts.flatMap(({ q, p, o, scores }) => (cap === undefined ? [q, p, o] : [q, p, o, scores]))
    const each = saved.length / parts.length
    ;(save as tf.GradSaveFunc)([k, v, ...saved])
    const gradFunc = (dy: tf.Tensor4D, [k, v, ...saved]: tf.Tensor[]) => {
      const slopes = blocks.ranges.map((range, i) => {
        const [q, p, o, scores] = saved.slice(each * i, each * (i + 1)) as [
          tf.Tensor3D,
          tf.Tensor3D,
          tf.Tensor3D,
          tf.Tensor3D?,
        ]
        const d = blocks.queries(dy, range)
        const rows = tf.sum(tf.mul(d, o), -1, true)
        const slope = tf.mul<tf.Tensor3D>(
          p,
          tf.sub(tf.matMul(d, blocks.until(v as tf.Tensor3D, range), false, true), rows),
        )
        const ds = scores ? tf.mul<tf.Tensor3D>(slope, tf.sub(1, tf.square(tf.div(scores, cap!)))) : slope
        return {
          q: tf.matMul<tf.Tensor3D>(ds, blocks.until(k as tf.Tensor3D, range)),
          k: tf.matMul<tf.Tensor3D>(ds, q, true),
          v: tf.matMul<tf.Tensor3D>(p, d, true),
        }
      })
      return [
        blocks.together(slopes.map(({ q }) => q)),
        tf.reshape(blocks.added(slopes.map(({ k }) => k)), key.shape),
        tf.reshape(blocks.added(slopes.map(({ v }) => v)), key.shape),
      ]
    }
    return { value: blocks.together(parts.map(({ o }) => o)), gradFunc }
  })
  return op(query, key, value) as tf.Tensor4D
}

/**
 * The same, with the probabilities, [batch, heads, time, time], put into `maps`: losses look at them. Gradients are
 * those of its operations.
 */
export function mappedAttention(
  query: tf.Tensor4D,
  key: tf.Tensor4D,
  value: tf.Tensor4D,
  mask: Mask,
  maps: tf.Tensor4D[],
  cap?: number,
): tf.Tensor4D {
  const heads = query.shape[1]
  const scores = softCap(tf.matMul<tf.Tensor4D>(query, repeatHeads(key, heads), false, true), cap)
  const probabilities = tf.softmax(tf.add(scores, mask)) as tf.Tensor4D
  maps.push(probabilities)
  return tf.matMul(probabilities, repeatHeads(value, heads))
}

/** Grouped-query attention: each key/value head serves heads / kvHeads query heads in a row. */
function repeatHeads(x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, kvHeads, time, size] = x.shape
  if (kvHeads === heads) return x
  const group = heads / kvHeads
  const spread = tf.tile(tf.reshape(x, [batch, kvHeads, 1, time * size]), [1, 1, group, 1])
  return tf.reshape(spread, [batch, heads, time, size])
}

interface AttentionShape {
  batch: number
  heads: number
  kvHeads: number
  time: number
  size: number
}

interface Range {
  from: number
  to: number
}

/** Rows of a block of queries: with fewer the products become too small to be fast. */
const BLOCK = 128

/** Queries cut along the time, the heads that share keys stacked: [batch * kvHeads, group * rows, size] a block. */
class QueryBlocks {
  readonly ranges: Range[]

  constructor(private readonly shape: AttentionShape) {
    const { time } = shape
    const count = Math.max(1, Math.floor(time / BLOCK))
    this.ranges = Array.from({ length: count }, (_, i) => ({
      from: i * BLOCK,
      to: i === count - 1 ? time : (i + 1) * BLOCK,
    }))
  }

  /** [batch * kvHeads, time, size] */
  single(x: tf.Tensor4D): tf.Tensor3D {
    const { batch, kvHeads, time, size } = this.shape
    return tf.reshape(x, [batch * kvHeads, time, size])
  }

  queries(x: tf.Tensor4D, { from, to }: Range): tf.Tensor3D {
    const { batch, heads, kvHeads, time, size } = this.shape
    const rows = tf.reshape(x, [batch * heads, time, size])
    const cut = this.ranges.length === 1 ? rows : tf.slice(rows, [0, from, 0], [-1, to - from, -1])
    return tf.reshape(cut, [batch * kvHeads, (heads / kvHeads) * (to - from), size])
  }

  /** The keys or values that a block looks at. */
  until(x: tf.Tensor3D, { to }: Range): tf.Tensor3D {
    return to === this.shape.time ? x : tf.slice(x, [0, 0, 0], [-1, to, -1])
  }

  /** The probabilities of a block's scores. */
  masked(scores: tf.Tensor, mask: Mask, { from, to }: Range): tf.Tensor3D {
    const { batch, heads, kvHeads } = this.shape
    const each = tf.reshape(
      scores,
      mask.rank === 2 ? [batch * heads, to - from, to] : [batch, heads, to - from, to],
    )
    const [begin, size] =
      mask.rank === 2
        ? [
            [from, 0],
            [to - from, to],
          ]
        : [
            [0, 0, from, 0],
            [batch, 1, to - from, to],
          ]
    const part = this.ranges.length === 1 ? mask : tf.slice(mask as tf.Tensor, begin!, size!)
    const p = tf.softmax(tf.add(each, part))
    return tf.reshape(p, [batch * kvHeads, (heads / kvHeads) * (to - from), to])
  }

  /** All queries' rows from those of the blocks, [batch, heads, time, size]. */
  together(parts: readonly tf.Tensor3D[]): tf.Tensor4D {
    const { batch, heads, time, size } = this.shape
    const each = parts.map((part) => tf.reshape(part, [batch * heads, -1, size]))
    return tf.reshape(each.length === 1 ? each[0]! : tf.concat(each, 1), [batch, heads, time, size])
  }

  /** The sum over blocks of what each says of the keys it looks at. */
  added(parts: readonly tf.Tensor3D[]): tf.Tensor3D {
    const segments = this.ranges.map(({ from, to }, i) => {
      const said = parts
        .slice(i)
        .map((part) =>
          part.shape[1] === to && from === 0 ? part : tf.slice(part, [0, from, 0], [-1, to - from, -1]),
        )
      return said.reduce((a, b) => tf.add(a, b))
    })
    return segments.length === 1 ? segments[0]! : tf.concat(segments, 1)
  }
}
