import { join } from 'node:path'
import { failed, type Teacher } from '#contract'
import { residentTensor } from '../backend'
import { tf } from '../backend/tf'
import { checkDigest } from '../model/modelFolder'
import { sha256WithOthers } from '../../files'
import { readOnnxFile } from '../model/onnx/file'
import { ONNX_FILE } from '../model/onnx/importOnnx'
import { firstLine, OnnxSession, type Output, type Wanted } from '../model/onnx/session'
import { hiddenOutput, LOGITS } from '../model/onnx/signature'
import { knownIds } from '../model/vocabulary'
import type { TeacherSource } from './source'

/** Sets of outputs that are used in turn: one in a graph, one being computed. */
const TURNS = 2

/**
 * A teacher that is an ONNX file: it is asked before a graph, where the backend computes, and gives the graph its
 * logits, and hidden states where its file has them. On WebGPU they stay in the memory of the device.
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
  const changed = `the model of teacher "${row.name}" has changed since it joined the library; import it again`
  checkDigest(
    await sha256WithOthers(file, readOnnxFile(file).external),
    { digest: row.digest, changed },
    file,
  )
  return onnxSource(file, row, time, layers)
}

/**
 * As `openOnnxTeacher`, of a file that is known to be the row's.
 *
 * @param largest logits computed at a time, where not the session's own bound
 */
export async function onnxSource(
  file: string,
  row: Teacher,
  time: number,
  layers: readonly number[] = [],
  largest?: number,
): Promise<TeacherSource> {
  const outputs = outputsOf(row, layers)
  const session = await OnnxSession.open(file, { largest, resident: outputs.map(({ name }) => name) })
  const said = session.stays ? new OnDevice(session, time, outputs) : new OnHost(session, time, outputs)
  return {
    row,
    async prepare(inputs) {
      await said.ask(inputs).catch((error: Error) => {
        throw failed(
          `teacher "${row.name}" cannot read ${time} tokens a sequence: ${firstLine(error)}`,
          error,
        )
      })
    },
    prepared: () => said.arrays(),
    signal(tokens) {
      const answers = said.answers(tokens.size)
      if (!answers) throw failed(`teacher "${row.name}" is asked for tokens that it has not read`)
      const hidden: tf.Tensor2D[] = []
      for (const [i, { layer }] of outputs.entries()) if (layer !== undefined) hidden[layer] = answers[i]!
      return { logits: knownIds(answers[0]!, row.model.vocab), hidden }
    },
    dispose() {
      said.forget()
      void session.release()
    },
  }
}

/** The logits, then the hidden states of the layers. */
function outputsOf({ model }: Teacher, layers: readonly number[]): (Output & { layer?: number })[] {
  const states = (model.family === 'onnx' && model.hidden) || undefined
  return [
    { name: LOGITS, width: ('rows' in model && model.rows) || model.vocab },
    ...(states ? [...new Set(layers)] : []).map((layer) => ({
      name: hiddenOutput(states!, layer),
      width: states!.width,
      layer,
    })),
  ]
}

/** What a session says of one batch after the other. */
interface Said {
  /** @param inputs [sequences * time] */
  ask(inputs: Int32Array): Promise<void>
  /** Of the last batch, each output [tokens, width]; undefined if it had not so many tokens. */
  answers(tokens: number): tf.Tensor2D[] | undefined
  /** The host's, if they are there. */
  arrays(): Float32Array[] | undefined
  forget(): void
}

class OnHost implements Said {
  private readonly sets: Wanted[][] = []
  private turn = 0
  private last: Wanted[] = []

  constructor(
    private readonly session: OnnxSession,
    private readonly time: number,
    private readonly outputs: readonly Output[],
  ) {}

  async ask(inputs: Int32Array): Promise<void> {
    const { sets, outputs } = this
    this.turn = (this.turn + 1) % TURNS
    if (sets[this.turn]?.[0]!.out.length !== inputs.length * outputs[0]!.width) {
      sets[this.turn] = outputs.map(({ name, width }) => {
        return { name, width, out: new Float32Array(inputs.length * width) }
      })
    }
    this.last = sets[this.turn]!
    await this.session.read(inputs, this.time, this.last)
  }

  answers(tokens: number): tf.Tensor2D[] | undefined {
    if (this.last[0]?.out.length !== tokens * this.outputs[0]!.width) return undefined
    return this.last.map(({ width, out }) => tf.tensor2d(out, [tokens, width]))
  }

  arrays(): Float32Array[] {
    return this.last.map(({ out }) => out)
  }

  forget(): void {
    this.sets.length = 0
    this.last = []
  }
}

/** Its answers can be had once: the graph that they enter is the last to read them, and their memory goes with it. */
class OnDevice implements Said {
  private tokens = 0
  /** Of each output, [sequences, time, width] each. */
  private parts: tf.Tensor[][] = []

  constructor(
    private readonly session: OnnxSession,
    private readonly time: number,
    private readonly outputs: readonly Output[],
  ) {}

  async ask(inputs: Int32Array): Promise<void> {
    this.forget()
    const parts = await this.session.readParts(inputs, this.time, this.outputs)
    this.parts = parts.map((tensors) => tensors.map(residentTensor))
    this.tokens = inputs.length
  }

  answers(tokens: number): tf.Tensor2D[] | undefined {
    if (this.tokens !== tokens) return undefined
    const answers = tf.tidy(() =>
      this.outputs.map(({ width }, i) => {
        const parts = this.parts[i]!
        const whole = parts.length > 1 ? tf.concat(parts) : parts[0]!
        return tf.reshape(whole, [tokens, width]) as tf.Tensor2D
      }),
    )
    this.forget()
    return answers
  }

  arrays(): undefined {}

  forget(): void {
    tf.dispose(this.parts)
    this.parts = []
    this.tokens = 0
  }
}
