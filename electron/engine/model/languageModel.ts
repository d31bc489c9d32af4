import { join } from 'node:path'
import { longestSequence, parameterCount, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { createTables, forward } from './llama'
import { readModel, readOnnxConfig } from './modelFolder'
import { readOnnxFile } from './onnx/file'
import { ONNX_FILE } from './onnx/importOnnx'
import { OnnxSession } from './onnx/session'
import { toTensors } from './weights'

/** Reads sequences of one length. */
export interface LogitReader {
  /** Where the logits are not computed with the graph: awaited before it. `inputs` [sequences * time] */
  prepare?(inputs: Int32Array): Promise<void>
  /** [sequences, time] to [sequences * time, vocab]; called inside a tidy, for what was prepared last */
  logits(tokens: tf.Tensor2D): tf.Tensor2D
  dispose(): void
}

/** A model of ours, or an ONNX file: what scoring asks of it. */
export interface LanguageModel {
  vocab: number
  /** Longest sequence it reads; infinite where nobody knows. */
  context: number
  parameters: number
  reader(time: number): LogitReader
  /** What is needed beyond scoring, of a model of ours. */
  native?: { config: ModelConfig; parameters: ReadonlyMap<string, tf.Tensor> }
  dispose(): void
}

/** Opens the model of a folder. */
export async function openLanguageModel(folder: string): Promise<LanguageModel> {
  const onnx = readOnnxConfig(folder)
  if (!onnx) {
    const { config, weights } = await readModel(folder)
    return nativeModel(config, toTensors(weights))
  }
  const file = join(folder, ONNX_FILE)
  const { parameters } = readOnnxFile(file)
  const session = await OnnxSession.open(file)
  const { vocab } = onnx
  return {
    vocab,
    context: longestSequence(onnx),
    parameters,
    reader(time) {
      let said = new Float32Array()
      return {
        async prepare(inputs) {
          said = new Float32Array(inputs.length * vocab)
          await session.logits(inputs, time, vocab, said)
        },
        logits: (tokens) => tf.tensor2d(said, [tokens.size, vocab]),
        dispose() {},
      }
    },
    dispose: () => void session.release(),
  }
}

/** A model of ours whose weights are there already; they go when it is disposed of. */
export function nativeModel(
  config: ModelConfig,
  parameters: ReadonlyMap<string, tf.Tensor>,
): LanguageModel & { native: object } {
  return {
    vocab: config.vocab,
    context: config.context,
    parameters: parameterCount(config),
    reader(time) {
      const tables = createTables(config, time)
      return {
        logits: (tokens) => forward(config, parameters, tokens, tables).logits,
        dispose: () => tables.dispose(),
      }
    },
    native: { config, parameters },
    dispose: () => tf.dispose([...parameters.values()]),
  }
}
