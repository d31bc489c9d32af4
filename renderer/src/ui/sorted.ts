/**
 * Rows in the order of a column.
 *
 * @param sort the column, after a minus where it falls (SortHeader); empty leaves them as they are
 * @returns what was not measured last, before it what is no number, whichever the direction; else as they were
 */
export function sortedBy<Row>(
  rows: readonly Row[],
  sort: string,
  valueOf: (row: Row, column: string) => string | number | undefined,
): readonly Row[] {
  if (!sort) return rows
  const falls = sort.startsWith('-')
  const column = falls ? sort.slice(1) : sort
  const rank = (value: unknown) => (value === undefined ? 2 : Number.isNaN(value) ? 1 : 0)
  return rows
    .map((row) => ({ row, value: valueOf(row, column) }))
    .sort((a, b) => {
      const apart = rank(a.value) - rank(b.value)
      if (apart || rank(a.value)) return apart
      const order = a.value! < b.value! ? -1 : a.value! > b.value! ? 1 : 0
      return falls ? -order : order
    })
    .map(({ row }) => row)
}
