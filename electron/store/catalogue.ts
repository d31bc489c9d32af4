import { existsSync, readFileSync } from 'node:fs'
import { LowSync, type SyncAdapter } from 'lowdb'
import { z } from 'zod'
import {
  badInput,
  corpus,
  experimentRow,
  modelScore,
  parse,
  reportRow,
  run,
  SCHEMA_VERSION,
  settings,
  storedGrid,
  teacher,
  tokenizer,
} from '#contract'
import { isDiskFull, writeFileAtomic } from '../files'
import { paths } from './dataDirectory'
import { migrate } from './migrations'

export const catalogueSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  experiments: z.array(experimentRow).default([]),
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

/** lowdb's file, written atomically, and parsed when it is read and before it is written. */
class CatalogueFile implements SyncAdapter<CatalogueData> {
  /** Rows as they lie in the file: they need not be looked at again. */
  private written = new Set<string>()

  constructor(private readonly file: string) {}

  read(): CatalogueData | null {
    if (!existsSync(this.file)) return null
    let raw: unknown
    try {
      raw = JSON.parse(readFileSync(this.file, 'utf8'))
    } catch (error) {
      throw damaged(this.file, (error as Error).message)
    }
    try {
      return parse(catalogueSchema, migrate(raw, this.file), this.file)
    } catch (error) {
      throw damaged(this.file, (error as Error).message)
    }
  }

  /**
   * A row a line.
   *
   * @throws UnreadableRow, and nothing is written
   */
  write(data: CatalogueData): void {
    const written = new Set<string>()
    const text = (row: unknown, list: keyof CatalogueData, schema: z.ZodType) => {
      const line = JSON.stringify(row)
      const known = `${list} ${line}`
      if (!this.written.has(known)) check(row, list, schema)
      written.add(known)
      return line
    }
    const lists = Object.entries(data).map(([key, value]) => {
      const list = key as keyof CatalogueData
      const schema = catalogueSchema.shape[list]
      if (!Array.isArray(value)) return `${JSON.stringify(key)}: ${text(value, list, schema)}`
      const { element } = (schema as z.ZodDefault<z.ZodArray<z.ZodType>>).unwrap()
      const rows = value.map((row) => text(row, list, element))
      return `${JSON.stringify(key)}: [${rows.length ? `\n${rows.join(',\n')}\n` : ''}]`
    })
    writeFileAtomic(this.file, `{\n${lists.join(',\n')}\n}\n`)
    this.written = written
  }
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
      'a whole catalogue; `retort doctor --rebuild` makes it anew from the run folders and keeps this file',
  })
}

/** How long an update of passing interest (a run's latest step) may wait for the next write. */
const LAZY_MS = 1000

/** The data directory's lowdb: what the lists of the app show. One writer, the holder of the lock. */
export class Catalogue {
  private readonly low: LowSync<CatalogueData>
  private timer: NodeJS.Timeout | undefined
  /** Whether something has changed that is not written. A command that was refused leaves the file alone. */
  private changed = false

  constructor(
    dataDir: string,
    private readonly access: 'read' | 'write',
  ) {
    this.low = new LowSync(new CatalogueFile(paths.catalogue(dataDir)), emptyCatalogue())
    this.low.read()
    this.low.data ??= emptyCatalogue()
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

  /** Changes the data; it is written within a second. For what the run folder holds anyway. */
  updateLazily(change: (data: CatalogueData) => void): void {
    change(this.low.data)
    this.changed = true
    this.flushLater()
  }

  private undo(): void {
    this.low.read()
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
    }, LAZY_MS)
  }

  /** Writes what has changed. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.access !== 'write' || !this.changed) return
    this.low.write()
    this.changed = false
  }
}
