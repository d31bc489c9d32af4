import type { Settings } from '#contract'
import { catalogueLists, type CatalogueData, type ListName } from './catalogue'
import { paths } from './dataDirectory'
import { GoodCopies } from './goodCopies'
import { rowKey, salvage, type Lost, type Salvage } from './salvage'

/** A row, by its list and what it is known by there; or a setting, by its name. */
export interface RowName {
  list?: ListName | 'settings'
  id?: string
}

/** What became of the rows of a catalogue that was made anew. */
export interface Account {
  /** Read from the old catalogue. */
  kept: RowName[]
  /** Read elsewhere, and where. */
  rebuilt: (RowName & { from: string })[]
  /** Lost, and why. */
  dropped: (RowName & { why: string })[]
}

/** The rows of the old catalogue and of its last good copy, with an account of what becomes of them. */
export class Ledger {
  private readonly old: Salvage
  private readonly copy: Salvage | undefined
  private readonly copyName: string = ''
  private readonly account: Account = { kept: [], rebuilt: [], dropped: [] }

  constructor(dataDir: string) {
    this.old = salvage(paths.catalogue(dataDir))
    if (!this.damaged) return
    const copies = new GoodCopies(dataDir).list().map((copy) => ({ ...copy, read: salvage(copy.file) }))
    const chosen = copies.find(({ read }) => !read.lost.length) ?? copies[0]
    if (!chosen) return
    this.copy = chosen.read
    this.copyName = `the good copy of ${chosen.at.toISOString()}`
  }

  /** Whether not all of the old catalogue can be read. */
  get damaged(): boolean {
    return this.old.lost.length > 0
  }

  /**
   * A list's rows: those of the old catalogue, and what was lost of it from the copy, where `admits`.
   */
  rows<List extends ListName>(
    list: List,
    admits: (key: string, row: CatalogueData[List][number]) => boolean,
  ): CatalogueData[List] {
    const rows = [...this.old.rows[list]] as CatalogueData[List][number][]
    const keys = new Set(rows.map(rowKey))
    for (const id of keys) this.account.kept.push({ list, id })
    for (const row of this.copy?.rows[list] ?? []) {
      const key = rowKey(row)
      if (keys.has(key) || !this.isLost(list, key) || !admits(key, row)) continue
      rows.push(row)
      this.found(list, key, this.copyName)
    }
    return rows as CatalogueData[List]
  }

  /** Each from the old catalogue, else from the copy. */
  settings(): Partial<Settings> {
    const { settings, lost } = this.old
    for (const id of Object.keys(settings)) this.account.kept.push({ list: 'settings', id })
    if (!lost.some(({ list }) => list === 'settings')) return settings
    const missing = Object.entries(this.copy?.settings ?? {}).filter(([key]) => !Object.hasOwn(settings, key))
    for (const [id] of missing) this.found('settings', id, this.copyName)
    return { ...Object.fromEntries(missing), ...settings }
  }

  isFromCopy(list: ListName, id: string): boolean {
    return this.account.rebuilt.some((one) => one.list === list && one.id === id)
  }

  found(list: ListName | 'settings', id: string, from: string): void {
    this.account.rebuilt.push({ list, id, from })
  }

  /** A row that was taken is not taken after all. */
  drop(list: ListName, id: string, why: string): void {
    const other = (one: RowName) => one.list !== list || one.id !== id
    this.account.kept = this.account.kept.filter(other)
    this.account.rebuilt = this.account.rebuilt.filter(other)
    this.account.dropped.push({ list, id, why })
  }

  /** The account, once all rows were asked for: what was lost and not found again is dropped. */
  close(): Account {
    const { kept, rebuilt, dropped } = this.account
    const there = new Set([...kept, ...rebuilt, ...dropped].map(({ list, id }) => `${list} ${id}`))
    const named = new Set([...kept, ...rebuilt].map(({ list }) => list))
    const file = (line?: number) =>
      line === undefined ? 'in the catalogue' : `line ${line} of the catalogue`
    for (const { list, id, line, why } of this.old.lost) {
      // A whole list's rows are found in the copy, or in the folders.
      const whole = id === undefined && line === undefined && list !== undefined
      if (whole && (this.copy || named.has(list))) continue
      if (id !== undefined && this.isThere(there, list, id)) continue
      dropped.push({ list, id, why: `${file(line)}: ${why}` })
    }
    return this.account
  }

  private isThere(there: ReadonlySet<string>, list: Lost['list'], id: string): boolean {
    return list ? there.has(`${list} ${id}`) : catalogueLists.some((name) => there.has(`${name} ${id}`))
  }

  /** Of a catalogue that is JSON, what is not there was removed; of a cut one it may have been cut. */
  private isLost(list: ListName, key: string): boolean {
    const { parsed, lost } = this.old
    return !parsed || lost.some((one) => one.list === list && (one.id === undefined || one.id === key))
  }
}
