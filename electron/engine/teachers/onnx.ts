import { join } from 'node:path'
import { failed, type Teacher } from '#contract'
import { tf } from '../backend/tf'
import { onnxDigest, readOnnxFile } from '../model/onnx/file'
import { ONNX_FILE } from '../model/onnx/importOnnx'
import { firstLine, OnnxSession, type Wanted } from '../model/onnx/session'
import { hiddenOutput, LOGITS } from '../model/onnx/signature'
import type { TeacherSource } from './source'

/** Sets of outputs that are used in turn: one in a graph, one being computed. */
const TURNS = 2

/**
 * A teacher that is an ONNX file: it is asked before a graph, on the CPU, and gives the graph its logits, and hidden
 * states where its file has them.
 *
 * @param time tokens a sequence
 * @param layers whose hidden states are asked for, each from 0 (the embedding) to the number of those it gives
 * @throws failed when the files are not those of the library's row
 */
export async function openOnnxTeacher(
  dataDir: string,
  row: Teacher,
  time: number,
  layers: readonly number[] = [],
): Promise<TeacherSource> {
  const file = join(dataDir, 'library', 'teachers', row.id, ONNX_FILE)
  if ((await onnxDigest(file, readOnnxFile(file).external)) !== row.digest)
    throw failed(
      `the model of teacher "${row.name}" has changed since it joined the library; import it again`,
    )
  return onnxSource(row, await OnnxSession.open(file), time, layers)
}

/** As `openOnnxTeacher`, of a session that is open. */
export function onnxSource(
  row: Teacher,
  session: OnnxSession,
  time: number,
  layers: readonly number[] = [],
): TeacherSource {
  const { model } = row
  const states = (model.family === 'onnx' && model.hidden) || undefined
  const outputs = [
    { name: LOGITS, width: model.vocab, layer: undefined },
    ...(states ? [...new Set(layers)] : []).map((layer) => ({
      name: hiddenOutput(states!, layer),
      width: states!.width,
      layer,
    })),
  ]
  const sets: Wanted[][] = []
  let turn = 0
  let said: Wanted[] | undefined
  return {
    row,
    async prepare(inputs) {
      turn = (turn + 1) % TURNS
      if (sets[turn]?.[0]!.out.length !== inputs.length * model.vocab) {
        sets[turn] = outputs.map(({ name, width }) => {
          return { name, width, out: new Float32Array(inputs.length * width) }
        })
      }
      said = sets[turn]!
      await session.read(inputs, time, said).catch((error: Error) => {
        throw failed(
          `teacher "${row.name}" cannot read ${time} tokens a sequence: ${firstLine(error)}`,
          error,
        )
      })
    },
    prepared: () => said?.map(({ out }) => out),
    signal(tokens) {
      if (said?.[0]!.out.length !== tokens.size * model.vocab)
        throw failed(`teacher "${row.name}" is asked for tokens that it has not read`)
      const [logits, ...others] = said.map(({ width, out }) => tf.tensor2d(out, [tokens.size, width]))
      const hidden: tf.Tensor2D[] = []
      for (const [i, { layer }] of outputs.entries()) if (layer !== undefined) hidden[layer] = others[i - 1]!
      return { logits: logits!, hidden }
    },
    dispose() {
      sets.length = 0
      void session.release()
    },
  }
}
