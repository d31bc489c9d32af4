import type { ReportContent } from './content'
import { reportFigures } from './figures'
import { latexDocument, latexQuantity, type LatexTable } from './latex'
import { latexText } from './latexText'
import { pgfLines } from './pgfplots'
import { headOf, shownTable } from './shown'
import type { Table } from './table'

/** A report's tables and figures for a paper; as a document of its own with what the numbers say. */
export function latexReport(content: ReportContent, standalone = false): string {
  const { title, tables, findings } = content
  const { reliability, curves } = reportFigures(content)
  return latexDocument(
    {
      title,
      findings,
      tables: [...tables.map(table), ...settingsTable(content)],
      figures: [...reliability, ...curves].map(pgfLines),
    },
    standalone,
  )
}

function table(data: Table): LatexTable {
  // A verdict is said by the sign of its change and by its mark.
  const { title, notes, columns, rows } = shownTable(data)
  return {
    title,
    notes,
    names: 1,
    columns: `l${'r'.repeat(columns.length)}`,
    head: ['', ...columns.map(headOf)],
    rows: rows.map(({ head, cells }) => [latexText(head), ...cells.map(latexQuantity)]),
  }
}

function settingsTable({ settings: { columns, rows } }: ReportContent): LatexTable[] {
  if (!rows.length) return []
  return [
    {
      title: 'Settings that differ',
      notes: [],
      names: 1,
      columns: `l${'l'.repeat(columns.length)}`,
      head: ['', ...columns],
      rows: rows.map(({ head, cells }) => [head, ...cells].map(latexText)),
    },
  ]
}
