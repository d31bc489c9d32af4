import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import {
  corpus,
  LIBRARY_ROW,
  parameterCount,
  parse,
  teacher,
  tokenizer,
  type AlarmSummary,
  type LoggedEvent,
  type RetortError,
  type Run,
  type RunConfig,
} from '#contract'
import { readJson, writeJsonAtomic } from '../files'
import { catalogueSchema, emptyCatalogue, type CatalogueData } from './catalogue'
import { libraryNouns, paths, type LibraryNoun } from './dataDirectory'
import { migrate } from './migrations'
import { RunFolder } from './runFolder'

export { LIBRARY_ROW as ROW } from '#contract'

export interface Rebuilt {
  runs: number
  library: number
  /** What could not be read, a line each. */
  problems: string[]
  /** Where the old catalogue lies, if there was one that could not be read. */
  kept?: string
}

/**
 * Makes the catalogue anew from the run folders and the library's folders. Experiments, reports and settings live in
 * the catalogue alone: they are kept as far as the old one can be read, else the old file stays beside the new one.
 */
export function rebuildCatalogue(dataDir: string): Rebuilt {
  const file = paths.catalogue(dataDir)
  const problems: string[] = []
  const old = readOld(file)
  let kept: string | undefined
  if (!old && existsSync(file)) {
    kept = `${file}.damaged-${new Date().toISOString().replaceAll(':', '-')}`
    renameSync(file, kept)
  }
  const data = old ?? emptyCatalogue()
  const rows = { corpora: corpus, tokenizers: tokenizer, teachers: teacher }
  for (const noun of libraryNouns) {
    const found = folders(paths.library(dataDir, noun)).flatMap((id) => {
      const row = join(paths.libraryItem(dataDir, noun, id), LIBRARY_ROW)
      return attempt(problems, () => [parse(rows[noun], readJson(row), row)])
    })
    merge(data, noun, found)
  }
  data.runs = folders(paths.runs(dataDir)).flatMap((id) =>
    attempt(problems, () => {
      const folder = new RunFolder(dataDir, id)
      const config = folder.config()
      if (!config) throw new Error(`${folder.path}: no config.json`)
      const before = data.runs.find((run) => run.id === id)
      const { experiment, group, archivedAt, teacherOutputs = folder.teacherOutputs() } = before ?? {}
      const damaged = ({ message }: RetortError) => problems.push(message)
      return [{ ...rowOf(config, folder, damaged), experiment, group, archivedAt, teacherOutputs }]
    }),
  )
  writeJsonAtomic(file, parse(catalogueSchema, data))
  const library = libraryNouns.reduce((sum, noun) => sum + data[noun].length, 0)
  return { runs: data.runs.length, library, problems, kept }
}

/**
 * A run's catalogue row, from its folder alone.
 *
 * @param damaged hears of what of its logs cannot be read
 */
export function rowOf(config: RunConfig, folder: RunFolder, damaged?: (problem: RetortError) => void): Run {
  return { ...describeRun(config), ...progressOf(folder, damaged) }
}

/**
 * The part of a run's row that its folder's logs tell: how far it has come, and how it ended. What of them cannot be read
 * is left out, and told where the run has to be gone on with.
 */
export function progressOf(folder: RunFolder, damaged: (problem: RetortError) => void = () => {}) {
  const problems: string[] = []
  const hear = (problem: RetortError) => {
    problems.push(problem.message)
    damaged(problem)
  }
  const { steps, evaluations } = folder.metrics(hear)
  const log = folder.log(hear)
  const checkpoints = folder.checkpoints(hear)
  const end = log.findLast(({ event }) => event in ENDS)
  const began = log.findLast(({ event }) => event === 'started' || event === 'resumed')
  const ended = end && (!began || log.indexOf(end) > log.indexOf(began))
  const lost = log.length || problems.length
  return {
    status: ended ? ENDS[end.event]! : lost ? 'failed' : 'queued',
    step: steps.at(-1)?.step ?? 0,
    last: steps.at(-1),
    evaluation: evaluations.at(-1),
    alarms: summariseAlarms(log),
    best: checkpoints.at(-1)?.best,
    reason: ended
      ? end.message
      : lost
        ? ['its worker ended without a word', ...problems].join('; ')
        : undefined,
    startedAt: log[0]?.at,
    endedAt: ended ? end.at : undefined,
  }
}

/** A run's alarms as its row knows them. */
export function summariseAlarms(log: readonly LoggedEvent[]): AlarmSummary | undefined {
  const alarms = log.flatMap(({ alarm }) => alarm ?? [])
  const last = alarms.at(-1)
  return last && { count: alarms.length, last }
}

const ENDS: Partial<Record<LoggedEvent['event'], Run['status']>> = {
  completed: 'completed',
  stopped: 'stopped',
  failed: 'failed',
}

/** The part of a run's row that its configuration fixes. */
export function describeRun(config: RunConfig): Omit<Run, 'status' | 'step'> {
  const named = ({ id, name }: { id: string; name: string }) => ({ id, name })
  return {
    id: config.id,
    name: config.name,
    kind: config.kind,
    method: config.method,
    steps: config.experiment.train.steps,
    parameters: parameterCount(config.student),
    teachers: config.teachers.map(named),
    foreign: (config.foreign ?? []).map(({ row }) => named(row)),
    corpora: config.corpora.map(({ row }) => named(row)),
    seed: config.experiment.seed,
    createdAt: config.createdAt,
    priority: 0,
    place: 0,
    retries: 0,
    autoCache: 'off',
    sharedAlignments: [],
    teacherOutputs: [],
  }
}

function folders(path: string): string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.endsWith('.tmp'))
    .map((entry) => entry.name)
}

function readOld(file: string): CatalogueData | undefined {
  try {
    return parse(catalogueSchema, migrate(JSON.parse(readFileSync(file, 'utf8')), file), file)
  } catch {
    return undefined
  }
}

function attempt<T>(problems: string[], read: () => T[]): T[] {
  try {
    return read()
  } catch (error) {
    problems.push((error as Error).message)
    return []
  }
}

/** Rows on disk win; a row whose folder has gone goes too. */
function merge(data: CatalogueData, noun: LibraryNoun, found: { id: string }[]): void {
  ;(data[noun] as { id: string }[]) = found
}
