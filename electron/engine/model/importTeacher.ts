import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { badInput, parameterCount, type Job, type ModelConfig, type Teacher, type Tokenizer } from '#contract'
import { importTokenizer } from '../data/importTokenizer'
import type { Progress } from '../progress'
import { readHuggingFace } from './huggingface'
import { decodeLlama2c } from './llama2c'
import { writeModel } from './modelFolder'
import type { Weights } from './weights'

type ImportTeacherJob = Extract<Job, { kind: 'import-teacher' }>

interface Pretrained {
  config: ModelConfig
  weights: Weights
  source: Teacher['source']
  tokenizerPath: string
}

/**
 * Brings a pretrained model and its tokenizer into the library. Both folders are written beside their places and
 * renamed at the end: after an error nothing is left.
 */
export async function importTeacher(
  job: ImportTeacherJob,
  progress: Progress,
): Promise<{ teacher: Teacher; tokenizer: Tokenizer }> {
  progress('reading the model', 0)
  const pretrained = readPretrained(job)
  progress('reading the tokenizer', 0.5)
  const tokenizerFolder = join(job.dataDir, 'library', 'tokenizers', job.tokenizerId)
  const fresh = !existsSync(tokenizerFolder)
  const tokenizer = await importTokenizer({
    kind: 'import-tokenizer',
    dataDir: job.dataDir,
    threads: job.threads,
    id: job.tokenizerId,
    name: job.tokenizerId,
    path: pretrained.tokenizerPath,
  })
  try {
    checkVocabulary(pretrained, tokenizer, job.path)
    progress('writing the weights', 0.7)
    const digest = await store(job, pretrained)
    const teacher: Teacher = {
      id: job.id,
      name: job.name,
      source: pretrained.source,
      tokenizer: tokenizer.id,
      model: pretrained.config,
      parameters: parameterCount(pretrained.config),
      digest,
      perplexity: {},
      calibrations: [],
      createdAt: new Date().toISOString(),
    }
    return { teacher, tokenizer }
  } catch (error) {
    if (fresh) rmSync(tokenizerFolder, { recursive: true, force: true })
    throw error
  }
}

function readPretrained(job: ImportTeacherJob): Pretrained {
  const { path } = job
  if (!existsSync(path)) throw badInput('there is no such file or folder', { file: path })
  const format =
    job.format === 'auto' ? (statSync(path).isDirectory() ? 'huggingface' : 'llama2c') : job.format
  if (format === 'huggingface') {
    const { config, weights } = readHuggingFace(path)
    return {
      config,
      weights,
      source: format,
      tokenizerPath: job.tokenizerPath ?? join(path, 'tokenizer.json'),
    }
  }
  const { config, weights } = decodeLlama2c(readFileSync(path), path)
  return {
    config,
    weights,
    source: format,
    tokenizerPath: job.tokenizerPath ?? tokenizerBeside(path, config.vocab),
  }
}

function tokenizerBeside(path: string, vocab: number): string {
  const names = [`tok${vocab}.bin`, 'tokenizer.bin']
  const found = names.map((name) => join(dirname(path), name)).find(existsSync)
  if (found) return found
  throw badInput('its tokenizer is not beside it', {
    file: path,
    expected: `${names.join(' or ')} in the same folder`,
  })
}

function checkVocabulary({ config }: Pretrained, tokenizer: Tokenizer, file: string): void {
  if (tokenizer.vocab === config.vocab) return
  throw badInput(`the model has a vocabulary of ${config.vocab}, its tokenizer of ${tokenizer.vocab}`, {
    file,
  })
}

async function store(job: ImportTeacherJob, { config, weights }: Pretrained): Promise<string> {
  const folder = join(job.dataDir, 'library', 'teachers', job.id)
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  try {
    const digest = await writeModel(temporary, config, weights)
    rmSync(folder, { recursive: true, force: true })
    renameSync(temporary, folder)
    return digest
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}
