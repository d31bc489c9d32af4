import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import {
  failed,
  LIBRARY_ROW,
  parse,
  weightsReference,
  type ModelConfig,
  type WeightsReference,
} from '#contract'
import { changedReference, readJson } from '../../files'
import { openWeightFiles, type HuggingFaceFolder } from './huggingface'

/** Where the weights of a teacher lie that has no copy of them. */
export function referenceOf(folder: string): WeightsReference | undefined {
  const row = join(folder, LIBRARY_ROW)
  if (!existsSync(row)) return undefined
  return parse(z.object({ reference: weightsReference.optional() }), readJson(row), row).reference
}

/**
 * Opens weights that stay where they are. All their bytes are read and held against what was recorded.
 *
 * @param changed what is to be said when they are others now
 * @throws failed when a file is gone, or another one than was recorded
 */
export async function openReference(
  reference: WeightsReference,
  config: ModelConfig,
  changed = 'the weights have changed',
): Promise<HuggingFaceFolder> {
  const found = await changedReference(reference, true)
  if (found) throw failed(`${changed} (${found.file}: ${found.why})`)
  return openWeightFiles(config, reference.folder, Object.keys(reference.files))
}
