import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import {
  badInput,
  isHubName,
  isServedUrl,
  parseServedUrl,
  parameterCount,
  type ImportCheck,
  type Job,
  type ModelConfig,
  type ServedImport,
  type Teacher,
  type Tokenizer,
} from '#contract'
import { digestOfReference, placeItem, referTo } from '../../files'
import { startBackend } from '../backend'
import { importTokenizer } from '../data/importTokenizer'
import { loadTokenizer } from '../data/tokenizer'
import { checkServer } from '../teachers/served/importServed'
import { partOf, type Progress } from '../progress'
import { fetchModel, fetchTokenizer } from './hub/fetchModel'
import { openHuggingFace, readConfig } from './huggingface'
import { openLanguageModel } from './languageModel'
import { decodeLlama2c } from './llama2c'
import { writeConfig, writeModel } from './modelFolder'
import { checkOnnx, storeOnnx } from './onnx/importOnnx'
import { selfCheck } from './selfCheck'
import { rowsOf, withVocabulary } from './vocabulary'
import type { WeightSource } from './weights'

type ImportTeacherJob = Extract<Job, { kind: 'import-teacher' }>

interface Pretrained {
  source: Teacher['source']
  tokenizerPath: string
  /** Of a model that is run by ours; an ONNX file stays what it is, and a server where it is. */
  native?: WeightSource & { config: ModelConfig; files?: string[]; close?(): void }
}

/** What of a model goes into its row, and how it is written into its folder; that gives the rest of the row. */
interface Storable extends Pick<Teacher, 'model' | 'parameters'> {
  write(folder: string): Promise<Pick<Teacher, 'digest' | 'reference'>>
  /** What the model that lies there says. */
  check(folder: string): Promise<ImportCheck>
}

/** Of an import that fetches the model first, the part that this is. */
const FETCHING = 0.8

/**
 * Brings a pretrained model and its tokenizer into the library; one of the Hugging Face Hub (`hf:ORG/NAME`) from the
 * Hub's cache, or by way of it. Both folders are written beside their places and renamed at the end: after an error
 * nothing is left.
 */
export async function importTeacher(
  job: ImportTeacherJob,
  progress: Progress,
): Promise<{ teacher: Teacher; tokenizer: Tokenizer }> {
  const fetched = await fromHub(job, progress)
  return importFiles(fetched, fetched === job ? progress : partOf(progress, FETCHING, 1))
}

/** The same job with the paths of what its names of the Hub stand for. */
async function fromHub(job: ImportTeacherJob, progress: Progress): Promise<ImportTeacherJob> {
  const { path, tokenizerPath } = job
  const telling: Progress = (phase, fraction, left) => progress(phase, FETCHING * fraction, left)
  const fetched = { ...job }
  if (tokenizerPath && isHubName(tokenizerPath))
    fetched.tokenizerPath = await fetchTokenizer(tokenizerPath, telling)
  if (!isHubName(path)) return fetched.tokenizerPath === tokenizerPath ? job : fetched
  if (job.format !== 'auto' && job.format !== 'huggingface')
    throw badInput(`a model of the Hub is no ${job.format} file`, {
      file: path,
      expected: '--format huggingface',
    })
  const wanted = { model: true, tokenizer: !tokenizerPath }
  return { ...fetched, path: await fetchModel(path, telling, { wanted, check: readConfig }) }
}

async function importFiles(
  job: ImportTeacherJob,
  progress: Progress,
): Promise<{ teacher: Teacher; tokenizer: Tokenizer }> {
  progress('reading the model', 0)
  const pretrained = readPretrained(job)
  try {
    return await importPretrained(pretrained, job, progress)
  } finally {
    pretrained.native?.close?.()
  }
}

async function importPretrained(
  pretrained: Pretrained,
  job: ImportTeacherJob,
  progress: Progress,
): Promise<{ teacher: Teacher; tokenizer: Tokenizer }> {
  progress('looking at the model', 0.5)
  const tokenizerFolder = join(job.dataDir, 'library', 'tokenizers', job.tokenizerId)
  const fresh = !existsSync(tokenizerFolder)
  try {
    const { tokenizer, write, check: ask, ...model } = await checked(pretrained, job)
    progress('writing the weights', 0.7)
    const teacher = await store(job, write, (written) => ({
      id: job.id,
      name: job.name,
      source: pretrained.source,
      tokenizer: tokenizer.id,
      ...model,
      ...written,
      perplexity: {},
      calibrations: [],
      createdAt: new Date().toISOString(),
    }))
    progress('asking the model', 0.9)
    const check = await ask(folderOf(job))
    return { teacher: { ...teacher, check }, tokenizer }
  } catch (error) {
    rmSync(folderOf(job), { recursive: true, force: true })
    if (fresh) rmSync(tokenizerFolder, { recursive: true, force: true })
    throw error
  }
}

function readPretrained(job: ImportTeacherJob): Pretrained {
  const { path } = job
  if (job.reference && isServedUrl(path)) throw copiedAlways(path)
  if (isServedUrl(path)) return { source: 'served', tokenizerPath: tokenizerOfServer(job) }
  if (job.served)
    throw badInput('a model that is here has no server', { file: path, expected: 'http://HOST:PORT/v1' })
  if (!existsSync(path)) throw badInput('there is no such file or folder', { file: path })
  const source = job.format === 'auto' ? formatOf(path) : job.format
  if (job.reference && source !== 'huggingface') throw copiedAlways(path)
  const { tokenizerPath } = job
  switch (source) {
    case 'huggingface': {
      const native = openHuggingFace(path)
      return { source, native, tokenizerPath: tokenizerPath ?? join(path, 'tokenizer.json') }
    }
    case 'llama2c': {
      const { config, weights } = decodeLlama2c(readFileSync(path), path)
      const native = { config, tensors: weights, values: () => weights }
      const names = [`tok${config.vocab}.bin`, 'tokenizer.bin']
      return { source, native, tokenizerPath: tokenizerPath ?? tokenizerBeside(path, names) }
    }
    case 'onnx':
      return {
        source,
        tokenizerPath: tokenizerPath ?? tokenizerBeside(path, ['tokenizer.json', 'tokenizer.bin']),
      }
  }
}

const copiedAlways = (file: string) =>
  badInput('weights that stay where they are have to be safetensors', {
    file,
    field: '--reference',
    expected: 'a Hugging Face folder, or hf:ORG/NAME',
  })

function tokenizerOfServer({ tokenizerPath }: ImportTeacherJob): string {
  if (tokenizerPath) return tokenizerPath
  throw badInput('a server does not give its tokenizer', {
    field: '--tokenizer',
    expected: "a file, hf:ORG/NAME or one of the library, the same as the server's",
  })
}

function formatOf(path: string): 'huggingface' | 'llama2c' | 'onnx' {
  if (statSync(path).isDirectory()) return 'huggingface'
  return extname(path).toLowerCase() === '.onnx' ? 'onnx' : 'llama2c'
}

function tokenizerBeside(path: string, names: readonly string[]): string {
  const found = names.map((name) => join(dirname(path), name)).find(existsSync)
  if (found) return found
  throw badInput('its tokenizer is not beside it', {
    file: path,
    expected: `${names.join(' or ')} in the same folder`,
  })
}

/**
 * Looks at the model, and brings its tokenizer into the library, fitted to it.
 *
 * @throws bad-input when the model does not go with its tokenizer, or is none that can teach
 */
async function checked(
  { native, source, tokenizerPath }: Pretrained,
  job: ImportTeacherJob,
): Promise<Storable & { tokenizer: Tokenizer }> {
  const { path: file, dataDir, threads, tokenizerId } = job
  const own = { dataDir, threads, id: tokenizerId, name: tokenizerId, path: tokenizerPath }
  const bring = (rows?: number) => importTokenizer({ kind: 'import-tokenizer', ...own, rows })
  if (source === 'served') {
    const tokenizer = await bring()
    const { model, check, write } = await checkServer(parseServedUrl(file), servedOf(job), dataDir, tokenizer)
    return {
      tokenizer,
      model,
      parameters: 0,
      write: async (folder) => ({ digest: await write(folder) }),
      check: () => Promise.resolve(check),
    }
  }
  if (!native) {
    let tokenizer: Tokenizer
    const onnx = await checkOnnx(file, async (rows) => (tokenizer = await bring(rows)).vocab)
    return {
      tokenizer: tokenizer!,
      model: onnx.config,
      parameters: onnx.parameters,
      write: async (folder) => ({ digest: await storeOnnx(onnx, folder) }),
      check: (folder) => asked(job, tokenizer, folder),
    }
  }
  const tokenizer = await bring(rowsOf(native.config))
  const config = withVocabulary(native.config, tokenizer.vocab, file)
  return {
    tokenizer,
    model: config,
    parameters: parameterCount(config),
    async write(folder) {
      if (!job.reference) return { digest: await writeModel(folder, config, native) }
      // Read once for what reading refuses.
      for (const _ of native.values());
      writeConfig(folder, config)
      const reference = await referTo(file, native.files!)
      return { digest: digestOfReference(reference), reference }
    },
    check: (folder) => asked(job, tokenizer, folder),
  }
}

function servedOf({ served }: ImportTeacherJob): ServedImport {
  if (served) return served
  throw badInput('a server may have several models', {
    field: '--model',
    expected: 'the name of one of them',
  })
}

async function store(
  job: ImportTeacherJob,
  write: Storable['write'],
  rowOf: (written: Awaited<ReturnType<Storable['write']>>) => Teacher,
): Promise<Teacher> {
  const folder = folderOf(job)
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  try {
    const row = rowOf(await write(temporary))
    placeItem(folder, row)
    return row
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

const folderOf = ({ dataDir, id }: ImportTeacherJob) => join(dataDir, 'library', 'teachers', id)

/** What the model that was written says. */
async function asked(job: ImportTeacherJob, tokenizer: Tokenizer, folder: string): Promise<ImportCheck> {
  await startBackend('onnx', { threads: job.threads })
  const model = await openLanguageModel(folder)
  try {
    return await selfCheck(model, await loadTokenizer(job.dataDir, tokenizer))
  } finally {
    model.dispose()
  }
}
