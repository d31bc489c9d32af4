import type { Measured } from '#contract'

export interface Column {
  title: string
  unit?: string
  better?: 'lower' | 'higher' | 'neither'
  /** What its numbers say of the column before: they are shown with it. An interval's ends are shown together. */
  as?: 'deviation' | 'low' | 'high' | 'p'
}

/** A table of numbers, ready to be written in any format. */
export interface Table {
  title: string
  /** Of what the numbers are, and how intervals were made. */
  note?: string
  columns: Column[]
  rows: {
    head: string
    run?: string
    cells: (Measured | null)[]
    /** Columns whose value differs from the baseline's by more than chance. */
    marks?: readonly number[]
    /** What its numbers come to, in words. */
    verdict?: string
  }[]
  /** What a mark says. */
  marked?: string
}
