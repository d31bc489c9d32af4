import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import {
  cacheAbout,
  drawsSegments,
  hiddenWidth,
  parse,
  readDigest,
  stateWidth,
  type CacheAbout,
  type ModelConfig,
  type RunConfig,
  type RunTeacher,
  type Teacher,
} from '#contract'
import { writeJsonAtomic } from './atomic'
import { sha256 } from './digest'
import { isDiskFull } from './room'

/**
 * The teacher-output cache: `cache/teachers/<key>/`, one folder for a teacher and the batches it reads. A training plan
 * is keyed by what its batches are a function of, not by how many there are: runs of other lengths share the beginning.
 */
const VERSION = 3
const BYTES = 4

/** What a teacher reads: batches of token ids, in order. */
export interface TeacherPlan {
  key: string
  /** Batches, each of `batch * context` tokens. */
  batches: number
}

/** Entropy and label's log-probability of a token. */
const STATISTICS = 2

export type StoredMode = 'exact' | 'states' | 'top-k' | 'sample'

/**
 * The mode in which one teacher's outputs are kept: whose head is not known has no states to keep, and of one behind a
 * server there are its likeliest tokens alone.
 */
export function keptMode(mode: StoredMode, { model }: Pick<Teacher, 'model'>): StoredMode {
  if (model.family === 'served') return 'top-k'
  return mode === 'states' && model.family === 'onnx' ? 'exact' : mode
}

export function teacherCacheFolder(dataDir: string, key = ''): string {
  return join(dataDir, 'cache', 'teachers', key)
}

const ABOUT = 'about.json'
/** A line for each run that found the entry whole. */
const READERS = 'readers.txt'
export const WRITER_LOCK = 'writer.json'

/** The training batches of a run, as its teacher reads them. */
export function trainingPlan(config: RunConfig, teacher: RunTeacher): TeacherPlan {
  const { seed, train } = config.experiment
  const { batch, context, steps } = train
  const corpora = config.corpora.map((corpus) => [readDigest(corpus), corpus.weight])
  const { mixture } = train
  // Places in masked text were drawn otherwise before.
  const indexed = config.corpora.some(
    ({ reading }) => reading?.loss === 'assistant' && reading.packing === 'windows',
  )
  const drawn = { ...(mixture && { mixture }), ...(indexed && { indexed }), ...segmentsOf(config) }
  const about = { split: 'train', seed: train.dataSeed ?? seed, batch, context, corpora, ...drawn }
  return { key: keyOf(config, teacher, about), batches: steps }
}

/** How the text is cut that a run draws segments of. */
const segmentsOf = (config: RunConfig) =>
  drawsSegments(config) && { segments: config.corpora.map(({ row }) => row.index ?? null) }

/** The held-out windows of one corpus of a run; the same for every seed. */
export function heldOutPlan(
  config: RunConfig,
  teacher: RunTeacher,
  corpus: string,
): Omit<TeacherPlan, 'batches'> {
  const { train, evaluate } = config.experiment
  const { batch, context } = train
  return {
    key: keyOf(config, teacher, { split: 'held-out', corpus, tokens: evaluate.tokens, batch, context }),
  }
}

/** Tokens over all corpora that a run's teachers are looked at on before its first step. */
export const CALIBRATION_TOKENS = 2048

/** The calibration windows over all corpora of a run. */
export function calibrationPlan(config: RunConfig, teacher: RunTeacher): Omit<TeacherPlan, 'batches'> {
  const { batch, context, mixture } = config.experiment.train
  const corpora = config.corpora.map((corpus) => [readDigest(corpus), corpus.weight])
  // Tokens of a text that is drawn by segments are estimated, and a mixture goes by them.
  const drawn = mixture && { mixture, ...segmentsOf(config) }
  const about = { split: 'calibration', corpora, tokens: CALIBRATION_TOKENS, batch, context, ...drawn }
  return { key: keyOf(config, teacher, about) }
}

function keyOf({ tokenizer }: RunConfig, { digest: teacher, precision }: RunTeacher, about: object): string {
  // Whose matrices are in 8 bits says something else.
  const who = { teacher, ...(precision && { precision }) }
  return sha256(JSON.stringify({ version: VERSION, ...who, tokenizer: tokenizer.digest, ...about }))
}

/** Bytes of what is kept of a token beside its distribution: of an approximation it could not be said, and it costs time. */
export const statisticsBytes = STATISTICS * BYTES

/** What is kept of a token. */
export interface Kept {
  mode: StoredMode
  vocab: number
  k: number
  samples: number
  /** Of the mode `states`: how many numbers, and whether in half precision. */
  states?: { width: number; half: boolean }
}

/** What is kept of a token of one teacher's training batches, or with `whole` of the windows that figures are made of. */
export function keptOf(
  { experiment, student }: RunConfig,
  teacher: Teacher,
  mode: StoredMode,
  whole = false,
): Kept {
  const { k, samples, precision } = experiment.cache
  const own = keptMode(mode, teacher)
  const { vocab } = student
  const { model } = teacher
  if (model.family === 'served') return { mode: own, vocab, k: model.k, samples }
  if (own !== 'states') return { mode: whole ? 'exact' : own, vocab, k, samples }
  const width = stateWidth(teacher.model as ModelConfig)
  return { mode: own, vocab, k, samples, states: { width, half: !whole && precision === 'f16' } }
}

/** Bytes of a token's distribution, its statistics included; or of its state. */
export function bytesPerToken({ mode, vocab, k, samples, states }: Kept): number {
  if (mode === 'states') return states!.width * (states!.half ? BYTES / 2 : BYTES)
  const id = vocab > 65536 ? 4 : 2
  const distribution = {
    exact: vocab * BYTES,
    'top-k': Math.min(k, vocab) * (id + BYTES) + BYTES,
    sample: samples * id,
  }
  return distribution[mode] + statisticsBytes
}

/** Whether nothing is lost of what is kept: it lies in the files as it is used, and hidden states beside it do too. */
export function inFull({ mode, states }: Kept): boolean {
  return mode === 'exact' || (mode === 'states' && !states!.half)
}

/**
 * Bytes that the cache of one teacher of a run takes: training batches in `mode`, hidden states of `layers` layers, and
 * the held-out and the calibration windows whole.
 */
export function cacheBytes(config: RunConfig, teacher: Teacher, mode: StoredMode, layers: number) {
  const { train, evaluate } = config.experiment
  const kept = keptOf(config, teacher, mode)
  const hidden = layers * hiddenWidth(teacher.model) * (inFull(kept) ? BYTES : BYTES / 2)
  const ofWindows = bytesPerToken(keptOf(config, teacher, mode, true))
  // Windows overlap by half: every held-out token is read about twice.
  const heldOut = 2 * evaluate.tokens * ofWindows
  return {
    training: train.steps * train.batch * train.context * (bytesPerToken(kept) + hidden),
    heldOut: heldOut * config.corpora.length,
    calibration: CALIBRATION_TOKENS * ofWindows,
  }
}

export interface StoredEntry {
  key: string
  bytes: number
  /** Absent where a writer died before it wrote anything else. */
  about?: CacheAbout
  /** Runs that found it whole. */
  readers: number
  /** Milliseconds since the epoch. */
  usedAt: number
}

/** What lies in the cache, the longest unused first. */
export function listTeacherCache(dataDir: string): StoredEntry[] {
  const folder = teacherCacheFolder(dataDir)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .flatMap((key) => {
      const about = readCacheAbout(dataDir, key)
      if (!about) return [{ key, bytes: 0, readers: 0, usedAt: 0 }]
      const files = readdirSync(join(folder, key)).map((name) => statSync(join(folder, key, name)))
      // What is set aside for blocks that are not written yet takes no room.
      const bytes = files.reduce((sum, { blocks, size }) => sum + (blocks ? blocks * 512 : size), 0)
      const { mtimeMs: usedAt } = statSync(join(folder, key, ABOUT))
      return [{ key, bytes, about, readers: readersOf(dataDir, key).size, usedAt }]
    })
    .sort((a, b) => a.usedAt - b.usedAt)
}

/** What an entry says of itself; undefined when there is none, or none that can be read. */
export function readCacheAbout(dataDir: string, key: string): CacheAbout | undefined {
  const file = join(teacherCacheFolder(dataDir, key), ABOUT)
  if (!existsSync(file)) return undefined
  try {
    return parse(cacheAbout, JSON.parse(readFileSync(file, 'utf8')), file)
  } catch {
    return undefined
  }
}

export function writeCacheAbout(dataDir: string, key: string, about: CacheAbout): void {
  writeJsonAtomic(join(teacherCacheFolder(dataDir, key), ABOUT), about)
}

/** Marks it as used now, the longest unused goes first; `reader` is a run that found it whole, noted as far as there is room. */
export function touchTeacherCache(dataDir: string, key: string, reader?: string): void {
  const folder = teacherCacheFolder(dataDir, key)
  const now = new Date()
  utimesSync(join(folder, ABOUT), now, now)
  // A resumed run finds it once more; a line at a time is whole whoever else writes.
  if (reader === undefined || readersOf(dataDir, key).has(reader)) return
  try {
    appendFileSync(join(folder, READERS), `${reader}\n`)
  } catch (error) {
    if (!isDiskFull(error)) throw error
  }
}

function readersOf(dataDir: string, key: string): Set<string> {
  const file = join(teacherCacheFolder(dataDir, key), READERS)
  if (!existsSync(file)) return new Set()
  return new Set(readFileSync(file, 'utf8').split('\n').filter(Boolean))
}

/** Removes one entry. */
export function removeTeacherCache(dataDir: string, key: string): void {
  rmSync(teacherCacheFolder(dataDir, key), { recursive: true, force: true })
}

/**
 * Removes what was not used for `days`, then the longest unused until at most `bytes` are left. What is in use stays.
 *
 * @returns bytes that were freed
 */
export function evictTeacherCache(
  dataDir: string,
  limit: { bytes: number; days: number },
  inUse: (key: string) => boolean,
): number {
  const entries = listTeacherCache(dataDir)
  const oldest = Date.now() - limit.days * 86_400_000
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
  let freed = 0
  for (const { key, bytes, usedAt } of entries) {
    if (inUse(key) || (usedAt >= oldest && total <= limit.bytes)) continue
    removeTeacherCache(dataDir, key)
    total -= bytes
    freed += bytes
  }
  return freed
}
