import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import {
  BIN_DAYS,
  binEntry,
  conflict,
  modelScore,
  parse,
  type BinEntry,
  type BinNoun,
  type Use,
} from '#contract'
import { readJson, writeJsonAtomic } from '../../files'
import { BIN_ENTRY, binName, paths, sizeOnDisk, type CatalogueData } from '../../store'
import type { Context } from '../context'
import { find, freeName } from '../identity'
import { kinds, type Named } from './kinds'
import { usesOf } from './uses'

const FILES = 'files'

/** What `entry.json` holds: all that it takes to put a thing back. */
const storedEntry = binEntry.extend({
  row: z.unknown(),
  /** Held-out scores that went with it. */
  scores: z.array(modelScore).default([]),
})
type StoredEntry = z.output<typeof storedEntry>

/**
 * Things that were removed, with their files, until somebody puts them back, empties the bin, or their time is over.
 *
 * A crash at any moment loses nothing: the entry is written first, then the row leaves the catalogue, then the files
 * are moved. An entry whose row is in the catalogue is void; files that were not moved are found where they were.
 */
export class Bin {
  constructor(private readonly context: Context) {}

  /** The newest first. */
  list(): BinEntry[] {
    return this.entries()
      .map((entry) => binEntry.parse(entry))
      .sort((a, b) => b.removedAt.localeCompare(a.removedAt))
  }

  /** What refers to things of a kind. */
  uses(noun: BinNoun, ids: readonly string[]): Use[] {
    return usesOf(this.context.catalogue.data, noun, ids)
  }

  /** @throws conflict when something is at work with it */
  put(noun: BinNoun, nameOrId: string): BinEntry {
    const { catalogue, pushes, dataDir } = this.context
    const kind = kinds[noun]
    const row = find(kind.word, this.rows(noun), nameOrId)
    const busy = kind.busy?.(row, catalogue.data)
    if (busy) throw conflict(busy)
    const place = kind.files?.(dataDir, row)
    const scores = kind.scored ? catalogue.data.scores.filter((score) => score[kind.scored!] === row.id) : []
    const entry: StoredEntry = {
      id: binName(noun, row.id),
      noun,
      name: row.name,
      bytes: place ? sizeOnDisk(place) : 0,
      removedAt: new Date().toISOString(),
      row,
      scores,
    }
    const folder = this.folder(entry.id)
    rmSync(folder, { recursive: true, force: true })
    writeJsonAtomic(join(folder, BIN_ENTRY), entry)
    catalogue.update((data) => {
      this.setRows(
        data,
        noun,
        this.rows(noun).filter((other) => other !== row),
      )
      data.scores = data.scores.filter((score) => !scores.includes(score))
    })
    if (place) move(place, join(folder, FILES))
    pushes.push(kind.gone(row))
    this.changed()
    return binEntry.parse(entry)
  }

  /** Under a name that is free. */
  restore(id: string): { noun: BinNoun; id: string; name: string } {
    const { catalogue, pushes, dataDir } = this.context
    const entry = find('thing in the bin', this.entries(), id)
    const { noun } = entry
    const kind = kinds[noun]
    const folder = this.folder(entry.id)
    const kept = parse(kind.schema, entry.row, join(folder, BIN_ENTRY))
    const row: Named = { ...kept, name: freeName(this.rows(noun), kept.name) }
    const place = kind.files?.(dataDir, row)
    if (place) move(join(folder, FILES), place)
    if (place && kind.rowFile && row.name !== kept.name) writeJsonAtomic(join(place, kind.rowFile), row)
    catalogue.update((data) => {
      this.setRows(data, noun, [...this.rows(noun), row])
      data.scores.push(...entry.scores)
    })
    rmSync(folder, { recursive: true, force: true })
    pushes.push(kind.back(row, catalogue.data))
    this.changed()
    return { noun, id: row.id, name: row.name }
  }

  /** Deletes for good. */
  empty(ids?: readonly string[]): { entries: number; bytes: number } {
    const chosen = this.entries().filter(({ id }) => ids?.includes(id) ?? true)
    for (const entry of chosen) this.erase(entry)
    // With all of it goes what could not be read.
    if (!ids) rmSync(paths.bin(this.context.dataDir), { recursive: true, force: true })
    this.forget(chosen)
    this.changed()
    return { entries: chosen.length, bytes: chosen.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  /** Deletes what has been here for its time. */
  sweep(now = Date.now()): void {
    const before = new Date(now - BIN_DAYS * 86_400_000).toISOString()
    const over = this.entries().filter(({ removedAt }) => removedAt < before)
    for (const entry of over) this.erase(entry)
    this.forget(over)
  }

  /** What was deleted for good is not to come back from an earlier copy of the catalogue. */
  private forget(erased: readonly StoredEntry[]): void {
    if (erased.length) this.context.catalogue.renewCopies()
  }

  private erase({ id, noun, row }: StoredEntry): void {
    const place = kinds[noun].files?.(this.context.dataDir, row as Named)
    rmSync(this.folder(id), { recursive: true, force: true })
    // Where a crash left the files behind.
    if (place) rmSync(place, { recursive: true, force: true })
  }

  /** Those that can be read and whose row is not in the catalogue. */
  private entries(): StoredEntry[] {
    const folder = paths.bin(this.context.dataDir)
    if (!existsSync(folder)) return []
    return readdirSync(folder).flatMap((name) => {
      try {
        const entry = storedEntry.parse(readJson(join(folder, name, BIN_ENTRY)))
        const { id } = entry.row as Named
        return entry.id === name && !this.rows(entry.noun).some((row) => row.id === id) ? [entry] : []
      } catch {
        return []
      }
    })
  }

  private rows(noun: BinNoun): readonly Named[] {
    return this.context.catalogue.data[noun]
  }

  private setRows(data: CatalogueData, noun: BinNoun, rows: readonly Named[]): void {
    ;(data[noun] as readonly Named[]) = rows
  }

  private folder(id: string): string {
    return join(paths.bin(this.context.dataDir), id)
  }

  private changed(): void {
    this.context.pushes.push({ topic: 'library', noun: 'bin' })
  }
}

/** Files that are there; those that a crash left at their goal stay. */
function move(from: string, to: string): void {
  if (!existsSync(from)) return
  mkdirSync(dirname(to), { recursive: true })
  renameSync(from, to)
}
