import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, failed, longestSequence, parameterCount, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { Decoder } from './decoder'
import { createTables, forward } from './forward'
import { checkDigest, readModel, readOnnxConfig, recordOf, SERVED_FILE } from './modelFolder'
import { sha256WithOthers } from '../../files'
import { readOnnxFile } from './onnx/file'
import { OnnxDecoder } from './onnx/decoder'
import { ONNX_FILE } from './onnx/importOnnx'
import { firstLine, OnnxSession } from './onnx/session'
import { LOGITS } from './onnx/signature'
import type { LanguageModel } from './reader'
import { knownIds, withoutPadding } from './vocabulary'
import { toTensors } from './weights'

/**
 * Opens the model of a folder.
 *
 * @throws failed when it is another one than was recorded there
 */
export async function openLanguageModel(folder: string): Promise<LanguageModel> {
  if (existsSync(join(folder, SERVED_FILE))) {
    throw badInput('this model is behind a server', {
      file: folder,
      expected: 'a model that is here: a server is asked by runs alone',
    })
  }
  const onnx = readOnnxConfig(folder)
  if (!onnx) {
    const whole = await readModel(folder)
    const { config, weights } = withoutPadding(whole.config, whole.weights)
    return { ...nativeModel(config, toTensors(weights)), parameters: parameterCount(whole.config) }
  }
  const file = join(folder, ONNX_FILE)
  const { parameters, external } = readOnnxFile(file)
  const recorded = recordOf(folder)
  if (recorded) checkDigest(await sha256WithOthers(file, external), recorded, file)
  const session = await OnnxSession.open(file)
  const { vocab, rows = vocab } = onnx
  return {
    vocab,
    context: longestSequence(onnx),
    parameters,
    reader(time) {
      let said = new Float32Array()
      return {
        async prepare(inputs) {
          said = new Float32Array(inputs.length * rows)
          await session
            .read(inputs, time, [{ name: LOGITS, width: rows, out: said }])
            .catch((error: Error) => {
              throw failed(`${file} cannot read ${time} tokens a sequence: ${firstLine(error)}`, error)
            })
        },
        logits: (tokens) => knownIds(tf.tensor2d(said, [tokens.size, rows]), vocab),
        dispose() {},
      }
    },
    textReader: () => new OnnxDecoder(session, onnx),
    dispose: () => void session.release(),
  }
}

/** A model of ours whose weights are there already; they go when it is disposed of. */
export function nativeModel(config: ModelConfig, parameters: ReadonlyMap<string, tf.Tensor>): LanguageModel {
  return {
    vocab: config.vocab,
    context: config.context,
    parameters: parameterCount(config),
    flopsPerToken: flopsPerToken(config),
    reader(time) {
      const tables = createTables(config, time)
      return {
        logits: (tokens) => forward(config, parameters, tokens, tables).logits,
        dispose: () => tables.dispose(),
      }
    },
    textReader: (reading) => new Decoder(config, parameters, reading),
    dispose: () => tf.dispose([...parameters.values()]),
  }
}

/** 2 a matmul weight (the head counts, the embedding lookup does not), and attention over half the context. */
function flopsPerToken(config: ModelConfig): number {
  const { vocab, width, layers, context, tied } = config
  const matmuls = parameterCount(config) - (tied ? 0 : vocab * width) - (2 * layers + 1) * width
  return 2 * matmuls + 2 * layers * width * context
}
