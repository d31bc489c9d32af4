import { tf } from '../backend/tf'
import { FORBIDDEN, type Layout, type Tables } from './forward'
import type { Rotation } from './layers'

/** The layout of sequences of one text each, or, with positions, of several examples each (`packedLayout`). */
export function layoutOf(tables: Tables, positions: tf.Tensor2D | undefined): Layout {
  return positions ? packedLayout(tables, positions) : tables
}

/** The positions of some sequences as a tensor, where there are any. */
export function positionsOf(positions: Int32Array | undefined, time: number): tf.Tensor2D | undefined {
  return positions && tf.tensor2d(positions, [positions.length / time, time], 'int32')
}

/**
 * The layout of sequences that hold several examples one after the other, of which none sees another: each begins at
 * position 0, and a token looks no further back than to where its example begins.
 *
 * @param positions of each token in its example, int32 [sequences, time]; an example begins where it is 0
 * @returns masks [sequences, 1, time, time] and rotations [sequences, 1, time, dimensions]; called inside a tidy
 */
function packedLayout({ time, rotations, masks }: Tables, positions: tf.Tensor2D): Layout {
  const [sequences] = positions.shape
  const flat = tf.reshape(positions, [sequences * time]) as tf.Tensor1D
  const turned = ({ cosine, sine }: Rotation): Rotation => {
    const own = (table: tf.Tensor) =>
      tf.reshape(tf.gather(table, flat), [sequences, 1, time, -1]) as tf.Tensor4D
    return { cosine: own(cosine), sine: own(sine) }
  }
  const begins = tf.reshape(beginsOf(positions), [sequences, time, 1])
  const others = tf.reshape(tf.range(0, time), [1, 1, time])
  const before = tf.mul(tf.cast(tf.greater(begins, others), 'float32'), FORBIDDEN)
  const apart = tf.reshape(before, [sequences, 1, time, time])
  return {
    time,
    positions: flat,
    rotations: rotations.map(({ key, query }) => ({ key: turned(key), query: turned(query) })),
    masks: new Map([...masks].map(([window, mask]) => [window, tf.add<tf.Tensor4D>(apart, mask)])),
  }
}

/** Which tokens of a sequence are of the same example: 1 or 0, [sequences, time, time]. */
export function sameExample(positions: tf.Tensor2D): tf.Tensor3D {
  const [sequences, time] = positions.shape
  const begins = beginsOf(positions)
  const [one, other] = [tf.reshape(begins, [sequences, time, 1]), tf.reshape(begins, [sequences, 1, time])]
  return tf.cast(tf.equal(one, other), 'float32')
}

/** Where in its sequence each token's example begins, float32 [sequences, time]. */
function beginsOf(positions: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(tf.range(0, positions.shape[1]), tf.cast(positions, 'float32'))
}
