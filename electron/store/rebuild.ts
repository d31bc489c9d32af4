import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  LIBRARY_ROW,
  parse,
  reportFormats,
  settings as settingsSchema,
  type ReportRow,
  type Run,
  type Teacher,
} from '#contract'
import { writeFileAtomic, writeJsonAtomic } from '../files'
import { catalogueSchema, catalogueText, emptyCatalogue, type CatalogueData } from './catalogue'
import { libraryNouns, paths, type LibraryNoun } from './dataDirectory'
import { binLookup, fileNames, folderNames } from './folders'
import { itemRowFile, readItemRow } from './itemRow'
import { Ledger, type Account } from './ledger'
import { RunFolder } from './runFolder'
import { rebuildRow } from './runRow'

export { LIBRARY_ROW as ROW } from '#contract'

export interface Rebuilt extends Account {
  runs: number
  library: number
  /** What of the folders of rows that are there could not be read, a line each. */
  problems: string[]
  /** Where the old catalogue lies, if there was one that could not be read whole. */
  aside?: string
}

/**
 * Makes the catalogue anew: row by row from what of the old one can be read, what is lost of it from the last good copy,
 * and runs, library and reports from their folders. What lies in the bin stays there.
 *
 * A catalogue that could not be read whole stays beside the new one, which takes its place at once: a crash in between
 * leaves it to be rebuilt again.
 */
export function rebuildCatalogue(dataDir: string): Rebuilt {
  const file = paths.catalogue(dataDir)
  const ledger = new Ledger(dataDir)
  const problems: string[] = []
  const data = emptyCatalogue()
  const inBin = binLookup(dataDir)
  data.experiments = ledger.rows('experiments', (id) => !inBin('experiments', id))
  data.grids = ledger.rows('grids', (id) => !inBin('grids', id))
  data.scores = ledger.rows('scores', (_, { model, corpus }) => {
    return !inBin('teachers', model) && !(corpus && inBin('corpora', corpus))
  })
  data.reports = rebuildReports(dataDir, ledger, inBin)
  for (const noun of libraryNouns)
    Object.assign(data, { [noun]: rebuildLibrary(dataDir, noun, ledger, inBin) })
  for (const teacher of data.teachers) fillScores(teacher, data)
  data.runs = rebuildRuns(dataDir, ledger, inBin, problems)
  data.settings = parse(settingsSchema, ledger.settings())
  const account = ledger.close()
  let aside: string | undefined
  if (ledger.damaged && existsSync(file)) {
    aside = `${file}.damaged-${new Date().toISOString().replaceAll(':', '-')}`
    writeFileAtomic(aside, readFileSync(file))
  }
  writeFileAtomic(file, catalogueText(parse(catalogueSchema, data)))
  const library = libraryNouns.reduce((sum, noun) => sum + data[noun].length, 0)
  return { runs: data.runs.length, library, ...account, problems, aside }
}

type InBin = ReturnType<typeof binLookup>

/** A row whose folder has gone goes too; a folder without a row says itself what it is. */
function rebuildLibrary(dataDir: string, noun: LibraryNoun, ledger: Ledger, inBin: InBin): { id: string }[] {
  const folders = new Set(folderNames(paths.library(dataDir, noun)))
  const known = ledger.rows(noun, (id) => !inBin(noun, id))
  const rows = known.filter(({ id }) => {
    if (!folders.has(id)) ledger.drop(noun, id, 'its folder is missing')
    return folders.has(id)
  }) as { id: string }[]
  for (const id of folders) {
    const own = () => readItemRow(dataDir, noun, id)
    const at = rows.findIndex((row) => row.id === id)
    try {
      if (at < 0) {
        if (inBin(noun, id)) continue
        rows.push(own())
        ledger.found(noun, id, 'its folder')
      } else if (ledger.isFromCopy(noun, id)) rows[at] = withOwn(rows[at]!, own())
      else own()
    } catch (error) {
      if (at < 0) ledger.drop(noun, id, (error as Error).message)
      else {
        writeJsonAtomic(itemRowFile(dataDir, noun, id), rows[at])
        ledger.found(noun, id, `the catalogue: ${LIBRARY_ROW} of its folder is written anew`)
      }
    }
  }
  return rows
}

/** A folder's row is as new as the newest calibration, a copy of the catalogue knows perplexities that it does not. */
function withOwn(copy: { id: string }, own: { id: string }): { id: string } {
  const perplexity = { ...(own as Teacher).perplexity, ...(copy as Teacher).perplexity }
  return 'perplexity' in own ? Object.assign(own, { perplexity }) : own
}

/** A teacher's perplexities are the scores' too. */
function fillScores(teacher: Teacher, { scores }: CatalogueData): void {
  for (const { model, corpus, perplexity } of scores) {
    if (model === teacher.id && corpus && perplexity !== null) teacher.perplexity[corpus] ??= perplexity
  }
}

function rebuildRuns(dataDir: string, ledger: Ledger, inBin: InBin, problems: string[]): Run[] {
  const folders = new Set(folderNames(paths.runs(dataDir)))
  const known = ledger.rows('runs', (id) => !inBin('runs', id))
  for (const { id } of known) if (!folders.has(id)) ledger.drop('runs', id, 'its folder is missing')
  const row = (id: string, before?: Run) =>
    rebuildRow(new RunFolder(dataDir, id), before, (why) => problems.push(why))
  const rows = known.filter(({ id }) => folders.has(id)).map((before) => row(before.id, before))
  for (const id of folders) {
    if (inBin('runs', id) || known.some((one) => one.id === id)) continue
    try {
      rows.push(row(id))
      ledger.found('runs', id, 'its folder')
    } catch (error) {
      ledger.drop('runs', id, (error as Error).message)
    }
  }
  return rows
}

/** Of a report without a row its file tells all but its name and its runs. */
function rebuildReports(dataDir: string, ledger: Ledger, inBin: InBin): ReportRow[] {
  const folder = paths.reports(dataDir)
  const files = fileNames(folder)
  const known = ledger.rows('reports', (id) => !inBin('reports', id))
  const rows = known.filter(({ id, file }) => {
    if (!files.includes(file)) ledger.drop('reports', id, `its file is missing: ${join(folder, file)}`)
    return files.includes(file)
  })
  for (const file of files) {
    const [, id, ending] = /^([a-z0-9][a-z0-9-]*)\.(\w+)$/.exec(file) ?? []
    const format = reportFormats.find((name) => name === ending)
    if (!id || !format || inBin('reports', id) || rows.some((row) => row.file === file)) continue
    const { size, mtime } = statSync(join(folder, file))
    rows.push({ id, name: id, format, runs: [], file, bytes: size, createdAt: mtime.toISOString() })
    ledger.found('reports', id, 'its file')
  }
  return rows
}
