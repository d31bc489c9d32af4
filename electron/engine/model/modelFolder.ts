import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import {
  badInput,
  modelConfig,
  onnxModelConfig,
  parse,
  SCHEMA_VERSION,
  type ModelConfig,
  type OnnxModelConfig,
} from '#contract'
import { readJson, sha256, writeFileAtomic, writeJsonAtomic } from '../../files'
import { decodeSafetensors, encodeSafetensors } from './safetensors'
import { checkWeights, type Weights } from './weights'

const storedConfig = modelConfig.extend({ schemaVersion: z.literal(SCHEMA_VERSION) })
const storedOnnxConfig = onnxModelConfig.extend({ schemaVersion: z.literal(SCHEMA_VERSION) })

/** Writes `model.json` and `model.safetensors`; returns the SHA-256 of the latter. */
export async function writeModel(folder: string, config: ModelConfig, weights: Weights): Promise<string> {
  const bytes = encodeSafetensors(weights)
  writeFileAtomic(join(folder, 'model.safetensors'), bytes)
  writeJsonAtomic(join(folder, 'model.json'), { schemaVersion: SCHEMA_VERSION, ...config })
  return sha256(bytes)
}

/** @throws bad-input when a file is missing, damaged, of another model, or an ONNX model's */
export async function readModel(folder: string): Promise<{ config: ModelConfig; weights: Weights }> {
  if (readOnnxConfig(folder)) {
    throw badInput('the layers of an ONNX model cannot be read', {
      file: join(folder, 'model.onnx'),
      expected: 'a model of ours: an ONNX model teaches, is scored and calibrated, and writes',
    })
  }
  const [configFile, weightsFile] = [join(folder, 'model.json'), join(folder, 'model.safetensors')]
  for (const file of [configFile, weightsFile]) {
    if (!existsSync(file)) throw badInput('the file is missing', { file })
  }
  const { schemaVersion: _, ...config } = parse(storedConfig, readJson(configFile), configFile)
  const weights = decodeSafetensors(readFileSync(weightsFile), weightsFile)
  checkWeights(config, weights, weightsFile)
  return { config, weights }
}

/** What a folder's `model.json` says it is; undefined when that is no ONNX model. */
export function readOnnxConfig(folder: string): OnnxModelConfig | undefined {
  const file = join(folder, 'model.json')
  const raw = existsSync(file) && (readJson(file) as { family?: unknown } | null)
  if (!raw || raw.family !== 'onnx') return undefined
  const { schemaVersion: _, ...config } = parse(storedOnnxConfig, raw, file)
  return config
}
