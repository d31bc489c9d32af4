import { existsSync, readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { LowSync, type SyncAdapter } from 'lowdb'
import { z } from 'zod'
import {
  badInput,
  corpus,
  modelScore,
  parse,
  reportRow,
  run,
  SCHEMA_VERSION,
  settings,
  storedExperiment,
  storedGrid,
  teacher,
  tokenizer,
  type Run,
} from '#contract'
import { isDiskFull, jsonFault, writeFileAtomic } from '../files'
import { paths } from './dataDirectory'
import { isInhabited } from './folders'
import { GoodCopies } from './goodCopies'
import { migrate } from './migrations'

export const catalogueSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  experiments: z.array(storedExperiment).default([]),
  corpora: z.array(corpus).default([]),
  tokenizers: z.array(tokenizer).default([]),
  teachers: z.array(teacher).default([]),
  runs: z.array(run).default([]),
  grids: z.array(storedGrid).default([]),
  /** Held-out scores of models on corpora, by id; the newest of a pair stays. */
  scores: z.array(modelScore).default([]),
  reports: z.array(reportRow).default([]),
  settings: settings.prefault({}),
})
export type CatalogueData = z.output<typeof catalogueSchema>

export function emptyCatalogue(): CatalogueData {
  return parse(catalogueSchema, { schemaVersion: SCHEMA_VERSION })
}

/** Says which row, and why: it would be written as something that is not read again. */
export class UnreadableRow extends Error {}

/** The lists of rows. */
export const catalogueLists = [
  'experiments',
  'corpora',
  'tokenizers',
  'teachers',
  'runs',
  'grids',
  'scores',
  'reports',
] as const satisfies (keyof CatalogueData)[]
export type ListName = (typeof catalogueLists)[number]

/** What a row of a list has to be. */
export function rowSchema(list: ListName): z.ZodType {
  return (catalogueSchema.shape[list] as z.ZodDefault<z.ZodArray<z.ZodType>>).unwrap().element
}

/** A catalogue's text: a row a line, so that damage somewhere is damage of a row. */
export function catalogueText(
  data: CatalogueData,
  text: (row: unknown, list: keyof CatalogueData) => string = (row) => JSON.stringify(row),
): string {
  const lists = Object.entries(data).map(([key, value]) => {
    const list = key as keyof CatalogueData
    if (!Array.isArray(value)) return `${JSON.stringify(key)}: ${text(value, list)}`
    const rows = value.map((row) => text(row, list))
    return `${JSON.stringify(key)}: [${rows.length ? `\n${rows.join(',\n')}\n` : ''}]`
  })
  return `{\n${lists.join(',\n')}\n}\n`
}

/** lowdb's file, written atomically, and parsed when it is read and before it is written. */
class CatalogueFile implements SyncAdapter<CatalogueData> {
  /** Rows as they lie in the file, by list, length and CRC-32: they need not be looked at again. */
  private written = new Set<string>()
  private readonly file: string

  constructor(private readonly dataDir: string) {
    this.file = paths.catalogue(dataDir)
  }

  read(): CatalogueData | null {
    if (!existsSync(this.file)) {
      if (!isInhabited(this.dataDir) && !new GoodCopies(this.dataDir).list().length) return null
      throw damaged(this.file, 'it is missing, and what it listed is there')
    }
    try {
      const raw = jsonOf(decodeText(readFileSync(this.file)))
      if (isBare(raw) && isInhabited(this.dataDir)) throw new Error('it has no lists')
      return parse(catalogueSchema, migrate(raw, this.file), this.file)
    } catch (error) {
      throw damaged(this.file, (error as Error).message)
    }
  }

  /** @throws UnreadableRow, and nothing is written */
  write(data: CatalogueData): void {
    const written = new Set<string>()
    const text = catalogueText(data, (row, key) => {
      const line = JSON.stringify(row)
      const known = `${key} ${line.length} ${crc32(line)}`
      const list = catalogueLists.find((name) => name === key)
      if (!this.written.has(known)) check(row, key, list ? rowSchema(list) : catalogueSchema.shape[key])
      written.add(known)
      return line
    })
    writeFileAtomic(this.file, text)
    this.written = written
  }
}

/** @throws when the text is no JSON, saying where */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`it is no JSON: ${jsonFault(text)}`)
  }
}

/**
 * @throws when the bytes are not UTF-8: a name would be read as another one
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Error('it is not UTF-8')
  }
}

/** What has not one of the lists is no catalogue, though each of them may be missing in one of an earlier version. */
export function isBare(raw: unknown): boolean {
  return typeof raw === 'object' && raw !== null && !catalogueLists.some((list) => Object.hasOwn(raw, list))
}

function check(row: unknown, list: string, schema: z.ZodType): void {
  try {
    parse(schema, row)
  } catch (error) {
    const { id } = (row ?? {}) as { id?: string }
    throw new UnreadableRow(
      `the catalogue could not be read again with this in ${list}${id ? `, row ${id}` : ''}: ${(error as Error).message}`,
    )
  }
}

function damaged(file: string, why: string) {
  return badInput(`the catalogue cannot be read (${why})`, {
    file,
    expected:
      'a whole catalogue; `retort doctor --rebuild` makes it anew from what of it can be read, its last good copy and the folders of runs and library, and keeps this file',
  })
}

/** How long a change that found no room on the disk waits for its next try. */
const RETRY_MS = 1000

/** The data directory's lowdb: what the lists of the app show. One writer, the holder of the lock. */
export class Catalogue {
  private readonly low: LowSync<CatalogueData>
  private readonly copies: GoodCopies
  private readonly file: string
  private timer: NodeJS.Timeout | undefined
  /** Whether something has changed that is not written. A command that was refused leaves the file alone. */
  private changed = false
  /** What of runs is shown and not written yet, by their ids. */
  private readonly shown = new Map<string, Partial<Run>>()

  constructor(
    dataDir: string,
    private readonly access: 'read' | 'write',
  ) {
    this.file = paths.catalogue(dataDir)
    this.copies = new GoodCopies(dataDir)
    this.low = new LowSync(new CatalogueFile(dataDir), emptyCatalogue())
    this.low.read()
    this.low.data ??= emptyCatalogue()
    this.keepCopy()
  }

  get data(): Readonly<CatalogueData> {
    return this.low.data
  }

  /**
   * Changes the data and writes it before it returns; a change that throws is not written.
   *
   * @throws UnreadableRow for a change that could not be read again: it is undone; failed when the disk is full: it is
   *   written once there is room
   */
  update<T>(change: (data: CatalogueData) => T): T {
    const result = change(this.low.data)
    this.changed = true
    try {
      this.flush()
    } catch (error) {
      if (isDiskFull(error)) this.flushLater()
      if (error instanceof UnreadableRow) this.undo()
      throw error
    }
    return result
  }

  /**
   * Changes a run's row for who looks at it now; it is written with the next update. For what the run's folder holds
   * anyway: a long catalogue is not written anew with every step of a run.
   *
   * @throws UnreadableRow for a change that could not be read again: it is not made
   */
  showRun(row: Run, change: Partial<Run>): void {
    check({ ...row, ...change }, 'runs', rowSchema('runs'))
    Object.assign(row, change)
    this.shown.set(row.id, { ...this.shown.get(row.id), ...change })
  }

  private undo(): void {
    this.low.read()
    for (const row of this.low.data.runs) Object.assign(row, this.shown.get(row.id))
    this.changed = false
  }

  private flushLater(): void {
    this.timer ??= setTimeout(() => {
      try {
        this.flush()
      } catch (error) {
        if (!isDiskFull(error)) throw error
        this.flushLater()
      }
    }, RETRY_MS)
  }

  /** Writes what has changed. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.access !== 'write' || !this.changed) return
    this.low.write()
    this.changed = false
    this.shown.clear()
    if (this.copies.due) this.copies.keep(this.text)
  }

  /** Writes what waits, and leaves a good copy of a catalogue that is there. */
  close(): void {
    this.flush()
    this.keepCopy()
  }

  /** Replaces the good copies, so that nothing comes back from them that is not in the catalogue now. */
  renewCopies(): void {
    this.flush()
    if (this.access === 'write') this.copies.renew(this.text)
  }

  private keepCopy(): void {
    if (this.access === 'write' && existsSync(this.file)) this.copies.keep(this.text)
  }

  private get text(): string {
    return catalogueText(this.low.data)
  }
}
