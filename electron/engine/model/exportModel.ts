import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, type Job } from '#contract'
import { writeFileAtomic, writeJsonAtomic } from '../../files'
import { loadTokenizer, tokenizerFile } from '../data/tokenizer'
import type { Progress } from '../progress'
import { huggingFaceConfig } from './huggingface'
import { encodeLlama2c } from './llama2c'
import { readModel } from './modelFolder'
import { encodeSafetensors } from './safetensors'

/** Writes a model for other tools: a Hugging Face folder, or a llama2.c checkpoint. */
export async function exportModel(
  job: Extract<Job, { kind: 'export' }>,
  progress: Progress,
): Promise<{ files: string[] }> {
  if (job.format === 'onnx') {
    throw badInput('exporting to onnx is not part of this version', {
      field: 'format',
      expected: 'hf or llama2c',
    })
  }
  progress('reading the model', 0)
  const { config, weights } = await readModel(job.model.folder)
  mkdirSync(job.out, { recursive: true })
  const files: string[] = []
  const path = (name: string) => {
    files.push(join(job.out, name))
    return files[files.length - 1]!
  }
  progress('writing', 0.5)
  if (job.format === 'llama2c') {
    writeFileAtomic(path('model.bin'), encodeLlama2c(config, weights))
  } else {
    const { bos } = await loadTokenizer(job.dataDir, job.model.tokenizer)
    writeJsonAtomic(path('config.json'), huggingFaceConfig(config, bos))
    writeFileAtomic(path('model.safetensors'), encodeSafetensors(weights))
  }
  const tokenizer = tokenizerFile(job.dataDir, job.model.tokenizer)
  if (existsSync(tokenizer)) {
    const name = job.model.tokenizer.kind === 'llama2c' ? 'tokenizer.bin' : 'tokenizer.json'
    copyFileSync(tokenizer, path(name))
  }
  return { files }
}
