import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import {
  checkpointFolder,
  CORPUS_BEGINNING,
  CORPUS_INDEX,
  LIBRARY_ROW,
  runFiles,
  toErrorShape,
  type Corpus,
  type Teacher,
} from '#contract'
import { changedReference, freeBytes, leftLock, megabytes, sha256File, sha256WithOthers } from '../files'
import { Catalogue, type CatalogueData } from './catalogue'
import { libraryNouns, paths, type LibraryNoun } from './dataDirectory'
import { fileNames, folderNames, sizeOnDisk } from './folders'
import { readItemRow } from './itemRow'
import { leftOvers } from './leftOvers'
import { RunFolder } from './runFolder'
import { misfit } from './weightsFile'

/** Less free room than this is told. */
const LITTLE_BYTES = 500 * 2 ** 20

type Tell = (problem: unknown) => void

/**
 * What is wrong with a data directory, a line each. Looks without a lock and changes nothing.
 *
 * @param deep reads every weight, corpus and tokenizer, and holds it against its recorded digest
 */
export async function healthOf(dataDir: string, deep = false): Promise<string[]> {
  const problems: string[] = []
  const tell: Tell = (problem) => {
    problems.push(typeof problem === 'string' ? problem : toErrorShape(problem).message)
  }
  if (!existsSync(dataDir)) return problems
  const data = attempt(tell, () => new Catalogue(dataDir, 'read').data)
  if (data) orphans(dataDir, data).forEach(tell)
  for (const id of folderNames(paths.runs(dataDir))) await examineRun(dataDir, id, deep, tell)
  for (const noun of libraryNouns)
    for (const id of folderNames(paths.library(dataDir, noun)))
      await examineItem(dataDir, noun, id, deep, tell)
  examineLocks(dataDir, tell)
  const free = freeBytes(dataDir)
  if (free !== undefined && free < LITTLE_BYTES) tell(`the disk has ${megabytes(free)} left`)
  return problems
}

function attempt<T>(tell: Tell, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    tell(error)
    return undefined
  }
}

/** Folders and files that no row tells of, and rows whose folder or file is gone. */
function orphans(dataDir: string, data: Readonly<CatalogueData>): string[] {
  const compare = (place: string, there: string[], known: string[], needed = known) => [
    ...there
      .filter((name) => !known.includes(name))
      .map(
        (name) =>
          `${place}/${name}: the catalogue has no row of it; \`retort doctor --rebuild\` makes one from what is whole`,
      ),
    ...needed
      .filter((name) => !there.includes(name))
      .map((name) => `${place}/${name}: it is missing, and the catalogue has a row of it`),
  ]
  const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id)
  const begun = data.runs.filter(({ status }) => status !== 'queued')
  return [
    ...compare('runs', folderNames(paths.runs(dataDir)), ids(data.runs), ids(begun)),
    ...libraryNouns.flatMap((noun) =>
      compare(`library/${noun}`, folderNames(paths.library(dataDir, noun)), ids(data[noun])),
    ),
    ...compare(
      'reports',
      fileNames(paths.reports(dataDir)),
      data.reports.map(({ file }) => file),
    ),
  ]
}

async function examineRun(dataDir: string, id: string, deep: boolean, tell: Tell): Promise<void> {
  const run = new RunFolder(dataDir, id)
  if (!run.exists) tell(`runs/${id}: it has no ${runFiles.config}`)
  attempt(tell, () => run.config())
  attempt(tell, () => run.environment())
  attempt(tell, () => run.log(tell))
  attempt(tell, () => run.lastEvaluation())
  attempt(tell, () => run.teacherOutputs())
  if (attempt(tell, () => run.metrics(tell))?.torn)
    tell(`runs/${id}: the last line of ${runFiles.metrics} is torn; it is left out`)
  for (const { step, files } of attempt(tell, () => run.checkpoints(tell)) ?? []) {
    const folder = join(run.path, runFiles.checkpoints, checkpointFolder(step))
    for (const [name, digest] of Object.entries(files))
      await examineFile(join(folder, name), deep ? digest : undefined, tell)
  }
}

/** The file whose digest a row holds, by the kind of row. */
const CONTENT: Record<LibraryNoun, string[]> = {
  corpora: ['documents.jsonl'],
  tokenizers: ['tokenizer.json', 'tokenizer.bin'],
  teachers: ['model.safetensors', 'model.onnx', 'served.json'],
}

async function examineItem(
  dataDir: string,
  noun: LibraryNoun,
  id: string,
  deep: boolean,
  tell: Tell,
): Promise<void> {
  const folder = paths.libraryItem(dataDir, noun, id)
  const row = attempt(tell, () => readItemRow(dataDir, noun, id))
  const teacher = noun === 'teachers' ? (row as Teacher | undefined) : undefined
  if (teacher?.reference) {
    const changed = await changedReference(teacher.reference, deep)
    if (changed) tell(`${changed.file}: ${changed.why}; teacher "${teacher.name}" refers to it`)
    return
  }
  const corpus = noun === 'corpora' ? (row as Corpus | undefined) : undefined
  const referred = corpus?.reference
  // Of text that stays where it was its beginning alone lies here, and the digest is of all.
  const names = referred ? [CORPUS_BEGINNING.file] : CONTENT[noun]
  const name = names.find((name) => existsSync(join(folder, name)))
  if (!name) return tell(`${folder}: ${names.join(' or ')} is missing`)
  await examineFile(join(folder, name), deep && !referred ? row?.digest : undefined, tell)
  for (const { path, bytes } of referred?.files ?? [])
    if (statSync(path, { throwIfNoEntry: false })?.size !== bytes)
      tell(`${folder}: the text that it refers to is not there, or another: ${path}`)
  if (corpus?.index && !existsSync(join(folder, CORPUS_INDEX))) tell(`${folder}: ${CORPUS_INDEX} is missing`)
}

/** @param digest that it is held against */
async function examineFile(file: string, digest: string | undefined, tell: Tell): Promise<void> {
  const why = file.endsWith('.safetensors') || !existsSync(file) ? misfit(file) : undefined
  if (why) return tell(`${file}: ${why}`)
  if (digest && (await digestOf(file)) !== digest)
    tell(`${file}: the content is not what was recorded; expected SHA-256 ${digest}`)
}

/** An ONNX model's weights may lie in files beside it, which count in its digest. */
function digestOf(file: string): Promise<string> {
  if (!file.endsWith('.onnx')) return sha256File(file)
  const folder = join(file, '..')
  const own = ['model.onnx', 'model.json', LIBRARY_ROW]
  const others = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => !own.includes(name) && statSync(join(folder, name)).isFile())
  return sha256WithOthers(file, others.sort())
}

function examineLocks(dataDir: string, tell: Tell): void {
  const lock = paths.lock(dataDir)
  const cells = folderNames(paths.runs(dataDir)).map((id) => paths.cellLock(dataDir, id))
  const told = (file: string) => {
    const left = leftLock(file)
    if (left) tell(`${relative(dataDir, file)}: left behind by ${left}; the next to take it takes it over`)
    return left !== undefined
  }
  const free = !existsSync(lock) || told(lock)
  cells.forEach(told)
  // Whoever holds the lock is at work on them.
  if (!free) return
  for (const path of leftOvers(dataDir))
    tell(
      `${relative(dataDir, path)}: left over from work that was interrupted, ${megabytes(sizeOnDisk(path))}; \`retort doctor --rebuild\` removes it`,
    )
}
