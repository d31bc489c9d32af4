import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, type Job } from '#contract'
import { copyFile, writeFileAtomic, writeJsonAtomic } from '../../files'
import { boundaryToken, loadTokenizer, tokenizerFile } from '../data/tokenizer'
import type { Progress } from '../progress'
import { huggingFaceConfigText, huggingFaceWeights } from './huggingface'
import { encodeOnnxModel } from './exportOnnx'
import { encodeLlama2c } from './llama2c'
import { readModel } from './modelFolder'
import { safetensorsParts } from './safetensors'

/** Writes a model for other tools: a Hugging Face folder, an ONNX file, or a llama2.c checkpoint. */
export async function exportModel(
  job: Extract<Job, { kind: 'export' }>,
  progress: Progress,
): Promise<{ files: string[] }> {
  if (existsSync(job.out) && !statSync(job.out).isDirectory())
    throw badInput(`"${job.out}" is a file`, { field: 'out', expected: 'a folder' })
  progress('reading the model', 0)
  const { config, weights } = await readModel(job.model.folder)
  const onnx = job.format === 'onnx' && encodeOnnxModel(config, weights, job.hiddenStates)
  const created = mkdirSync(job.out, { recursive: true })
  progress('writing', 0.5)
  const files: string[] = []
  const path = (name: string) => {
    files.push(join(job.out, name))
    return files[files.length - 1]!
  }
  try {
    if (onnx) {
      writeFileAtomic(path('model.onnx'), onnx)
    } else if (job.format === 'llama2c') {
      writeFileAtomic(path('model.bin'), encodeLlama2c(config, weights))
    } else {
      const { bos } = await loadTokenizer(job.dataDir, job.model.tokenizer)
      writeFileAtomic(path('config.json'), huggingFaceConfigText(config, bos))
      writeFileAtomic(path('model.safetensors'), safetensorsParts(huggingFaceWeights(config, weights)))
    }
    const tokenizer = tokenizerFile(job.dataDir, job.model.tokenizer)
    if (existsSync(tokenizer)) {
      const name = job.model.tokenizer.kind === 'llama2c' ? 'tokenizer.bin' : 'tokenizer.json'
      copyFile(tokenizer, path(name))
      if (job.format === 'hf' && name === 'tokenizer.json')
        writeJsonAtomic(path('tokenizer_config.json'), tokenizerConfig(tokenizer, config.context))
    }
  } catch (error) {
    // What was in a folder that was there is not ours to remove.
    if (created) rmSync(created, { recursive: true, force: true })
    throw error
  }
  return { files }
}

/** What transformers wants to know of a `tokenizer.json` beside it. */
function tokenizerConfig(file: string, context: number): Record<string, unknown> {
  const boundary = boundaryToken(file)
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    model_max_length: context,
    clean_up_tokenization_spaces: false,
    ...(boundary !== undefined && { bos_token: boundary, eos_token: boundary }),
  }
}
