import type { tf } from '../backend/tf'
import { rowsOf, type Chunk } from '../distill/chunks'
import { finalLogits } from '../model/forward'
import type { TeacherSignal } from './source'

/** A teacher's logits on a chunk's rows, [rows, V]. */
export function logitsOf(signal: Pick<TeacherSignal, 'logits' | 'final'>, rows: Chunk): tf.Tensor2D {
  if (!signal.final) return rowsOf(signal.logits, rows)
  return finalLogits({ ...signal.final, normal: rowsOf(signal.final.normal, rows) })
}
