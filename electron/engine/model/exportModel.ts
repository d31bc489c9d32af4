import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import {
  badInput,
  checkDtype,
  type ExportResult,
  type Job,
  type ModelConfig,
  type Tokenizer,
} from '#contract'
import { copyFile, writeFileAtomic } from '../../files'
import { loadTokenizer, tokenizerFile } from '../data/tokenizer'
import { beginningText } from '../data/textTokenizer'
import {
  NO_SETTINGS,
  readTokenizerSettings,
  TEMPLATE,
  type TokenizerSettings,
} from '../data/tokenizerSettings'
import type { Progress } from '../progress'
import { configFiles, huggingFaceFiles, tokenizerConfig, type ExportedFile } from './exportHuggingFace'
import { encodeOnnxModel } from './exportOnnx'
import { PEFT_BASE, peftFiles } from './exportPeft'
import { encodeGguf } from './gguf'
import type { TensorType } from './gguf/format'
import { encodeLlama2c } from './llama2c'
import { readAdapters, readModel } from './modelFolder'
import { turningPoint } from './rotary'
import type { Weights } from './weights'

type ExportJob = Extract<Job, { kind: 'export' }>

/** Writes a model for other tools: a Hugging Face folder, adapters with the model beside them, a GGUF or ONNX file, or a llama2.c checkpoint. */
export async function exportModel(job: ExportJob, progress: Progress): Promise<ExportResult> {
  if (existsSync(job.out) && !statSync(job.out).isDirectory())
    throw badInput(`"${job.out}" is a file`, { field: 'out', expected: 'a folder' })
  checkDtype(job.format, job.dtype)
  progress('reading the model', 0)
  const { files, warnings, tokenizer } = await contents(job)
  const created = mkdirSync(job.out, { recursive: true })
  progress('writing', 0.5)
  const written: string[] = []
  const path = (name: string) => {
    written.push(join(job.out, name))
    return written[written.length - 1]!
  }
  try {
    for (const [name, content] of files) writeFileAtomic(path(name), content)
    if (tokenizer)
      copyFile(tokenizer, path(join(job.format === 'peft' ? PEFT_BASE : '', basename(tokenizer))))
  } catch (error) {
    // What was in a folder that was there is not ours to remove.
    if (created) rmSync(created, { recursive: true, force: true })
    throw error
  }
  return { files: written, warnings }
}

interface Contents {
  files: ExportedFile[]
  warnings: string[]
  /** The tokenizer's file, where it goes along as it is. */
  tokenizer?: string
}

async function contents(job: ExportJob): Promise<Contents> {
  const { dataDir, model, format } = job
  const file = tokenizerFile(dataDir, model.tokenizer)
  const tokenizer = existsSync(file) ? file : undefined
  if (format === 'peft') {
    const { base, ...adapted } = await readAdapters(model.folder)
    const folder = await transformersFiles({ ...job, card: undefined }, adapted.config, base, file)
    const beside = folder.map(([name, content]): ExportedFile => [join(PEFT_BASE, name), content])
    return { files: [...peftFiles({ ...adapted, card: job.card }), ...beside], warnings: [], tokenizer }
  }
  const { config, weights } = await readModel(model.folder)
  if (format === 'onnx') {
    const files: ExportedFile[] = [['model.onnx', [encodeOnnxModel(config, weights, job)]]]
    if (!job.kvCache) return { files, warnings: [], tokenizer }
    const ends = await endsOf(job, file)
    files.push(...configFiles({ config, dtype: 'f32', ...ends }), ...tokenizerFiles(config, ends))
    return { files, warnings: cacheWarnings(config), tokenizer }
  }
  if (format === 'llama2c')
    return { files: [['model.bin', [encodeLlama2c(config, weights)]]], warnings: [], tokenizer }
  if (format === 'gguf') {
    const { bos, eos, kind, settings } = await endsOf(job, file)
    const { parts, warnings } = encodeGguf({
      name: model.name,
      config,
      weights,
      tokenizer: { file, kind, bos, eos: eos[1] ?? bos, chatTemplate: settings.chatTemplate },
      dtype: job.dtype as TensorType,
    })
    return { files: [['model.gguf', parts]], warnings }
  }
  return { files: await transformersFiles(job, config, weights, file), warnings: [], tokenizer }
}

/** A folder of transformers, but for the tokenizer's own file. */
async function transformersFiles(
  job: ExportJob,
  config: ModelConfig,
  weights: Weights,
  file: string,
): Promise<ExportedFile[]> {
  const { shard, card } = job
  const ends = await endsOf(job, file)
  const dtype = job.dtype as 'f32' | 'bf16'
  const files = huggingFaceFiles({ config, weights, ...ends, dtype, shard, card })
  return [...files, ...tokenizerFiles(config, ends)]
}

/** What another tool does not know when it reads on from a cache. */
function cacheWarnings(config: ModelConfig): string[] {
  const turning = turningPoint(config)
  if (turning === Infinity) return []
  return [
    `the file refuses to go on where a text grows beyond ${turning} tokens (a Reshape fails): it has to be read anew from its beginning, as transformers does by itself, since what is kept is that of a short text`,
  ]
}

/** Where documents and texts end, by their tokenizer. */
interface Ends {
  bos: number
  /** The text of `bos`. */
  beginning: string | undefined
  eos: readonly number[]
  kind: Tokenizer['kind']
  settings: TokenizerSettings
}

async function endsOf({ dataDir, model }: ExportJob, file: string): Promise<Ends> {
  const tokenizer = await loadTokenizer(dataDir, model.tokenizer)
  const { bos, ends } = tokenizer
  const { kind } = model.tokenizer
  const settings = kind !== 'llama2c' ? readTokenizerSettings(file) : NO_SETTINGS
  return { bos, beginning: beginningText(tokenizer), eos: ends, kind, settings }
}

/** What transformers wants to know of a tokenizer, beside its own file; nothing of one that it does not read. */
function tokenizerFiles({ context }: ModelConfig, { beginning, kind, settings }: Ends): ExportedFile[] {
  if (kind === 'llama2c') return []
  const { chatTemplate } = settings
  const config = tokenizerConfig(beginning, context, settings)
  return [
    ['tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`],
    ...(chatTemplate === undefined ? [] : [[TEMPLATE, chatTemplate] satisfies ExportedFile]),
  ]
}
