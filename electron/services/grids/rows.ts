import { conflict, type GridRow, type StoredGrid } from '#contract'
import type { Context } from '../context'
import { find } from '../identity'
import { gridView } from './view'

/** A page is told of a grid at most this often while its cells train. */
const GATHER_MS = 500

/** The catalogue's rows of grids; every change is told to the page. */
export class GridRows {
  private readonly told = new Map<string, NodeJS.Timeout>()

  constructor(private readonly context: Context) {}

  get all(): StoredGrid[] {
    return this.context.catalogue.data.grids
  }

  of(id: string): StoredGrid {
    return find('grid', this.all, id)
  }

  view(row: StoredGrid): GridRow {
    return gridView(row, this.context.catalogue.data.runs)
  }

  /** Writes a row in place of an old one. */
  put(row: StoredGrid, old?: StoredGrid): void {
    this.context.catalogue.update((data) => {
      data.grids = [...data.grids.filter((other) => other !== old), row]
    })
    this.tell(row)
  }

  change(row: StoredGrid, change: Partial<StoredGrid>): void {
    this.context.catalogue.update(() => Object.assign(row, change, { updatedAt: new Date().toISOString() }))
    this.tell(row)
  }

  /** @throws conflict when its status is none of these */
  require(row: StoredGrid, statuses: StoredGrid['status'][], verb: string): void {
    if (!statuses.includes(row.status))
      throw conflict(`cannot ${verb} grid "${row.name}": it is ${row.status}`)
  }

  /** A cell has changed. */
  tellSoon(row: StoredGrid): void {
    if (this.told.has(row.id)) return
    this.told.set(
      row.id,
      setTimeout(() => this.tell(row), GATHER_MS),
    )
  }

  close(): void {
    for (const timer of this.told.values()) clearTimeout(timer)
  }

  private tell(row: StoredGrid): void {
    clearTimeout(this.told.get(row.id))
    this.told.delete(row.id)
    this.context.pushes.push({ topic: 'grid', grid: this.view(row) })
  }
}
