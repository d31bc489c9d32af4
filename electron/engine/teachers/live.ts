import { badInput, longestSequence, type RunTeacher, type Teacher } from '#contract'
import { tf } from '../backend/tf'
import { createTables, forward, type Head } from '../model/forward'
import { layoutOf } from '../model/packed'
import { readTeacher, readTeacherHead } from '../model/modelFolder'
import { quantisedHead, quantisedTensors } from '../model/quantised'
import { withoutPadding } from '../model/vocabulary'
import { toTensors } from '../model/weights'
import { openOnnxTeacher } from './onnx'
import { openServedTeacher } from './served/source'
import type { TeacherSource } from './source'

/**
 * A teacher that answers itself: computed by the same model code as the student, frozen, an ONNX file, or behind a
 * server.
 *
 * @param time tokens a sequence
 * @param layers whose hidden states it is asked for; one of ours gives all of them
 * @throws bad-input when the context is too short, failed when the weights are not those of the library's row
 */
export async function openLiveTeacher(
  dataDir: string,
  row: RunTeacher,
  time: number,
  layers: readonly number[] = [],
): Promise<TeacherSource> {
  checkContext(row, time)
  if (row.model.family === 'served') return openServedTeacher(dataDir, row, time)
  if (row.model.family === 'onnx') return openOnnxTeacher(dataDir, row, time, layers)
  const whole = await readTeacher(dataDir, row)
  const { config, weights } = withoutPadding(whole.config, whole.weights)
  const parameters = row.precision === 'int8' ? quantisedTensors(config, weights) : toTensors(weights)
  const tables = createTables(config, time)
  return {
    row,
    signal: (tokens, { positions, ...options } = {}) =>
      forward(config, parameters, tokens, layoutOf(tables, positions), options),
    dispose() {
      tf.dispose([...parameters.values()])
      tables.dispose()
    },
  }
}

/**
 * What makes logits of a teacher's last states; the tensors are the caller's.
 *
 * @throws as `openLiveTeacher`
 */
export async function openTeacherHead(dataDir: string, row: RunTeacher): Promise<Head> {
  const { head, cap } = await readTeacherHead(dataDir, row)
  if (row.precision === 'int8') return { ...quantisedHead(head), cap }
  return { head: tf.keep(tf.tensor2d(head.data, head.shape as [number, number])), cap }
}

/** @throws bad-input when the teacher cannot read sequences of that length */
export function checkContext(row: Teacher, time: number): void {
  const longest = longestSequence(row.model)
  if (time <= longest) return
  throw badInput(`teacher "${row.name}" reads at most ${longest} tokens`, {
    field: 'train.context',
    expected: `at most ${longest}`,
  })
}
