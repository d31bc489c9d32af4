import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import {
  adapterShapes,
  badInput,
  checkpoint,
  digest as digestSchema,
  EMBEDDING,
  failed,
  HEAD,
  LIBRARY_ROW,
  modelConfig,
  onnxModelConfig,
  parse,
  runFiles,
  SCHEMA_VERSION,
  stateWidth,
  storedLora,
  weightShapes,
  type ModelConfig,
  type OnnxModelConfig,
  type StoredLora,
  type Teacher,
  type WeightsReference,
} from '#contract'
import { copyFile, digestOfReference, readJson, sha256File, writeJsonAtomic } from '../../files'
import type { HuggingFaceFolder } from './huggingface'
import { mergeAdapters } from './lora'
import { openReference, referenceOf } from './reference'
import { openSafetensors, readSafetensors } from './safetensors'
import { writeSafetensors } from './safetensorsWriter'
import { checkLayers, checkWeights, type Weight, type Weights, type WeightSource } from './weights'

export const [CONFIG, WEIGHTS] = ['model.json', 'model.safetensors'] as const

const storedConfig = modelConfig.extend({
  schemaVersion: z.literal(SCHEMA_VERSION),
  /** The weights beside it are adapters' only. */
  lora: storedLora.optional(),
})
const storedOnnxConfig = onnxModelConfig.extend({ schemaVersion: z.literal(SCHEMA_VERSION) })

/**
 * Writes `model.json` and `model.safetensors`, in which weights that were read from half precision stay in it; returns
 * the SHA-256 of the latter.
 *
 * @param lora of weights that are adapters'
 */
export async function writeModel(
  folder: string,
  config: ModelConfig,
  weights: Weights | WeightSource,
  lora?: StoredLora,
): Promise<string> {
  const file = join(folder, WEIGHTS)
  writeSafetensors(file, weights instanceof Map ? { tensors: weights, values: () => weights } : weights)
  writeConfig(folder, { ...config, ...(lora && { lora }) })
  return sha256File(file)
}

/** Writes `model.json`. */
export const writeConfig = (folder: string, config: ModelConfig & { lora?: StoredLora }) =>
  writeJsonAtomic(join(folder, CONFIG), { schemaVersion: SCHEMA_VERSION, ...config })

/** Where the model lies that the adapters of a folder stand beside: in it, or with the run whose checkpoint it is. */
function baseFolder(folder: string): string {
  const own = join(folder, runFiles.base)
  return existsSync(own) ? own : join(folder, '../..', runFiles.base)
}

/** Copies a model of ours, with what its adapters stand beside. */
export function copyModel(folder: string, into: string): void {
  mkdirSync(into, { recursive: true })
  for (const name of [CONFIG, WEIGHTS]) copyFile(join(folder, name), join(into, name))
  if (readStored(folder).lora) copyModel(baseFolder(folder), join(into, runFiles.base))
}

function readStored(folder: string) {
  const file = join(folder, CONFIG)
  const { schemaVersion: _, lora, ...config } = parse(storedConfig, readJson(file), file)
  return { config, lora }
}

/** What is known of a model's bytes from when they were written. */
export interface Recorded {
  /** SHA-256 of its weights; of an ONNX model with the files beside it. */
  digest: string
  /** What is to be said when they are others now. */
  changed: string
}

/** What the description beside a model says of it: a checkpoint's, or a teacher's of the library. */
export function recordOf(folder: string): Recorded | undefined {
  const [description, row] = [join(folder, 'checkpoint.json'), join(folder, LIBRARY_ROW)]
  if (existsSync(description)) {
    const digest = parse(checkpoint, readJson(description), description).files[WEIGHTS]
    if (!digest) throw badInput('no digest is recorded', { file: description, field: `files.${WEIGHTS}` })
    return { digest, changed: 'the weights have changed since the checkpoint was written' }
  }
  if (!existsSync(row)) return undefined
  const { digest } = parse(z.object({ digest: digestSchema }), readJson(row), row)
  return { digest, changed: 'the model has changed since it joined the library; import it again' }
}

/** What the adapters of a folder say of the model that they stand beside; undefined where no adapters are. */
export function recordOfBase(folder: string): Recorded | undefined {
  const { lora } = readStored(folder)
  return lora && { digest: lora.base, changed: 'the model that the adapters stand beside has changed since' }
}

/**
 * Reads a model of ours, with adapters merged into what they stand beside. Its weights are held against what was
 * recorded of them: a changed bit would be a result of another model.
 *
 * @param recorded by default what lies beside it
 * @throws bad-input when a file is missing, damaged, of another model, or an ONNX model's; failed when the weights are
 *   not those that were recorded
 */
export async function readModel(
  folder: string,
  recorded: Recorded | undefined = recordOf(folder),
): Promise<{ config: ModelConfig; weights: Weights }> {
  const { config, weights, lora, base } = await readParts(folder, recorded)
  return { config, weights: lora ? mergeAdapters(config, lora, base!, weights) : weights }
}

/**
 * Reads adapters and, apart from them, what they stand beside.
 *
 * @throws as `readModel`, and bad-input where there are none
 */
export async function readAdapters(
  folder: string,
): Promise<{ config: ModelConfig; lora: StoredLora; adapters: Weights; base: Weights }> {
  const { config, weights, lora, base } = await readParts(folder, recordOf(folder))
  if (lora) return { config, lora, adapters: weights, base: base! }
  throw badInput('the model has no adapters', { expected: 'one that was trained with student.lora' })
}

/** The weights of a folder as they lie there, and with adapters the weights beside them. */
async function readParts(
  folder: string,
  recorded: Recorded | undefined,
): Promise<{ config: ModelConfig; weights: Weights; lora?: StoredLora; base?: Weights }> {
  if (readOnnxConfig(folder)) {
    throw badInput('the layers of an ONNX model cannot be read', {
      file: join(folder, 'model.onnx'),
      expected: 'a model of ours: an ONNX model teaches, is scored and calibrated, and writes',
    })
  }
  checkThere(join(folder, CONFIG))
  const { config, lora } = readStored(folder)
  const { file, weights } = await readWeights(folder, config, recorded)
  checkLayers(config, weights, file)
  checkWeights(lora ? adapterShapes(config, lora) : weightShapes(config), weights, file)
  if (!lora) return { config, weights }
  const base = await readModel(baseFolder(folder), recordOfBase(folder))
  return { config, weights, lora, base: base.weights }
}

function checkThere(file: string): void {
  if (!existsSync(file)) throw badInput('the file is missing', { file })
}

/** The weights of a folder, or of where it says that they are. */
async function readWeights(
  folder: string,
  config: ModelConfig,
  recorded: Recorded | undefined,
): Promise<{ file: string; weights: Weights }> {
  const reference = referenceOf(folder)
  if (reference) {
    const weights = await fromReference(reference, config, recorded, ({ values }) => new Map(values()))
    return { file: reference.folder, weights }
  }
  const file = join(folder, WEIGHTS)
  checkThere(file)
  if (recorded) checkDigest(await sha256File(file), recorded, file)
  return { file, weights: readSafetensors(file) }
}

/**
 * Reads a teacher of the library that is a model of ours.
 *
 * @throws as `readModel`
 */
export function readTeacher(dataDir: string, row: Pick<Teacher, 'id' | 'name' | 'digest'>) {
  return readModel(join(dataDir, 'library', 'teachers', row.id), recordedTeacher(row))
}

function recordedTeacher({ name, digest }: Pick<Teacher, 'name' | 'digest'>): Recorded {
  const changed = `the weights of teacher "${name}" have changed since it joined the library; import it again`
  return { digest, changed }
}

/**
 * Reads of such a teacher what makes logits of its last states, and nothing else: [vocab, width], and the cap.
 *
 * @throws as `readModel`
 */
export async function readTeacherHead(
  dataDir: string,
  row: Pick<Teacher, 'id' | 'name' | 'digest'>,
): Promise<{ head: Weight; cap?: number }> {
  const folder = join(dataDir, 'library', 'teachers', row.id)
  const file = join(folder, WEIGHTS)
  const reference = referenceOf(folder)
  const lacks = !existsSync(file) && !reference
  const whole = lacks || readStored(folder).lora ? await readTeacher(dataDir, row) : undefined
  const config = whole?.config ?? readStored(folder).config
  const name = config.tied ? EMBEDDING : HEAD
  const one = () =>
    reference
      ? fromReference(reference, config, recordedTeacher(row), ({ tensor }) => tensor(name))
      : readOne(file, name, row)
  const { shape, data } = whole?.weights.get(name) ?? (await one())
  const width = stateWidth(config)
  if (shape.join() !== weightShapes(config).get(name)!.join())
    throw badInput('the tensor has another shape', { file, field: name })
  const head = { shape: [config.vocab, width], data: data.slice(0, config.vocab * width) }
  return { head, cap: config.architecture?.logits.cap }
}

async function readOne(file: string, name: string, teacher: Pick<Teacher, 'name' | 'digest'>) {
  checkDigest(await sha256File(file), recordedTeacher(teacher), file)
  const tensors = openSafetensors(file)
  try {
    return tensors.read(name)
  } finally {
    tensors.close()
  }
}

/** What is read of weights that stay where they are, held against what was recorded of them. */
async function fromReference<T>(
  reference: WeightsReference,
  config: ModelConfig,
  recorded: Recorded | undefined,
  read: (opened: HuggingFaceFolder) => T,
): Promise<T> {
  if (recorded) checkDigest(digestOfReference(reference), recorded, reference.folder)
  const opened = await openReference(reference, config, recorded?.changed)
  try {
    return read(opened)
  } finally {
    opened.close()
  }
}

/** @throws failed when the file's digest is another one than the recorded */
export function checkDigest(found: string, { digest, changed }: Recorded, file: string): void {
  if (found !== digest) throw failed(`${changed} (${file}; expected SHA-256 ${digest})`)
}

/** What lies in place of a model that is behind a server. */
export const SERVED_FILE = 'served.json'

/** What a folder's `model.json` says it is; undefined when that is no ONNX model. */
export function readOnnxConfig(folder: string): OnnxModelConfig | undefined {
  const file = join(folder, CONFIG)
  const raw = existsSync(file) && (readJson(file) as { family?: unknown } | null)
  if (!raw || raw.family !== 'onnx') return undefined
  const { schemaVersion: _, ...config } = parse(storedOnnxConfig, raw, file)
  return config
}
