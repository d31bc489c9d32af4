import type { GridRow } from '#contract'

const ENDED = ['completed', 'failed', 'stopped']

/** Cells that have ended, however. */
export function ended({ cells }: GridRow): number {
  return cells.filter(({ status }) => ENDED.includes(status)).length
}

/** `9/12 cells, 2 failed`. */
export function cellCount(grid: GridRow): string {
  const failed = grid.cells.filter(({ status }) => status === 'failed').length
  return `${ended(grid)}/${grid.cells.length} cells${failed ? `, ${failed} failed` : ''}`
}

/** Share of the grid's steps that are done, 0..1; an ended cell counts whole. */
export function fraction({ cells }: GridRow): number {
  const done = cells.reduce(
    (sum, { status, step, steps }) => sum + (ENDED.includes(status) ? steps : step),
    0,
  )
  return (
    done /
    Math.max(
      1,
      cells.reduce((sum, { steps }) => sum + steps, 0),
    )
  )
}

/** From the time worked on so far; undefined while nothing is done or nothing goes on. */
export function gridSecondsLeft(grid: GridRow): number | undefined {
  const done = fraction(grid)
  return grid.status === 'running' && done > 0 ? (grid.seconds * (1 - done)) / done : undefined
}
