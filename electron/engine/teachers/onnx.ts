import { join } from 'node:path'
import { failed, type Teacher } from '#contract'
import { tf } from '../backend/tf'
import { onnxDigest, readOnnxFile } from '../model/onnx/file'
import { ONNX_FILE } from '../model/onnx/importOnnx'
import { firstLine, OnnxSession } from '../model/onnx/session'
import type { TeacherSource } from './source'

/** Tables of logits that are used in turn: one in a graph, one being computed. */
const TURNS = 2

/**
 * A teacher that is an ONNX file: it is asked before a graph, on the CPU, and gives the graph its logits. It has no
 * hidden states.
 *
 * @param time tokens a sequence
 * @throws failed when the files are not those of the library's row
 */
export async function openOnnxTeacher(dataDir: string, row: Teacher, time: number): Promise<TeacherSource> {
  const file = join(dataDir, 'library', 'teachers', row.id, ONNX_FILE)
  if ((await onnxDigest(file, readOnnxFile(file).external)) !== row.digest)
    throw failed(
      `the model of teacher "${row.name}" has changed since it joined the library; import it again`,
    )
  return onnxSource(row, await OnnxSession.open(file), time)
}

/** @param time tokens a sequence */
export function onnxSource(row: Teacher, session: OnnxSession, time: number): TeacherSource {
  const { vocab } = row.model
  const tables: Float32Array<ArrayBuffer>[] = []
  let turn = 0
  let said: Float32Array<ArrayBuffer> | undefined
  return {
    row,
    async prepare(inputs) {
      turn = (turn + 1) % TURNS
      const size = inputs.length * vocab
      if (tables[turn]?.length !== size) tables[turn] = new Float32Array(size)
      said = tables[turn]!
      await session.logits(inputs, time, vocab, said).catch((error: Error) => {
        throw failed(
          `teacher "${row.name}" cannot read ${time} tokens a sequence: ${firstLine(error)}`,
          error,
        )
      })
    },
    signal(tokens) {
      if (said?.length !== tokens.size * vocab)
        throw failed(`teacher "${row.name}" is asked for tokens that it has not read`)
      return { logits: tf.tensor2d(said, [tokens.size, vocab]), hidden: [] }
    },
    dispose() {
      tables.length = 0
      void session.release()
    },
  }
}
