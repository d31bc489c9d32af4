import type { Measured } from '#contract'

/** A table of numbers, ready to be written in any format. */
export interface Table {
  title: string
  note?: string
  columns: { title: string; unit?: string; better?: 'lower' | 'higher' | 'neither' }[]
  rows: { head: string; run?: string; cells: (Measured | null)[] }[]
}
