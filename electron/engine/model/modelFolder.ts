import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { badInput, modelConfig, parse, SCHEMA_VERSION, type ModelConfig } from '#contract'
import { sha256, writeFileAtomic, writeJsonAtomic } from '../../files'
import { decodeSafetensors, encodeSafetensors } from './safetensors'
import { checkWeights, type Weights } from './weights'

const storedConfig = modelConfig.extend({ schemaVersion: z.literal(SCHEMA_VERSION) })

/** Writes `model.json` and `model.safetensors`; returns the SHA-256 of the latter. */
export async function writeModel(folder: string, config: ModelConfig, weights: Weights): Promise<string> {
  const bytes = encodeSafetensors(weights)
  writeFileAtomic(join(folder, 'model.safetensors'), bytes)
  writeJsonAtomic(join(folder, 'model.json'), { schemaVersion: SCHEMA_VERSION, ...config })
  return sha256(bytes)
}

/** @throws bad-input when a file is missing, damaged, or of another model */
export async function readModel(folder: string): Promise<{ config: ModelConfig; weights: Weights }> {
  const [configFile, weightsFile] = [join(folder, 'model.json'), join(folder, 'model.safetensors')]
  for (const file of [configFile, weightsFile]) {
    if (!existsSync(file)) throw badInput('the file is missing', { file })
  }
  const { schemaVersion: _, ...config } = parse(storedConfig, readJson(configFile), configFile)
  const weights = decodeSafetensors(readFileSync(weightsFile), weightsFile)
  checkWeights(config, weights, weightsFile)
  return { config, weights }
}

/** @throws bad-input when the file is not JSON */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw badInput(`the file cannot be read as JSON (${(error as Error).message})`, { file })
  }
}
