import type { ReportContent } from './content'
import { cellText, headOf, shownTable, type ShownCell } from './shown'

/**
 * One line of comma-separated values (RFC 4180), without its end. A text that a spreadsheet would take for a formula
 * (by its first sign, and it is no number) stands behind an apostrophe, as the OWASP's note on CSV injection has it.
 */
export function csvLine(cells: readonly string[]): string {
  return cells
    .map((text) => (/^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text))
    .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join(',')
}

/** Text that Markdown shows as it is: no tags, links, code, emphasis or headings of its own. */
export function markdownText(text: string): string {
  return text.replace(/[\\`*[\]<>|~]/g, '\\$&').replace(/\s*[\r\n]+\s*/g, ' ')
}

/** GitHub-flavoured Markdown. */
export function markdownReport(content: ReportContent): string {
  const { createdAt, tables, settings } = content
  const title = markdownText(content.title)
  const findings = content.findings.map(markdownText)
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const row = (cells: readonly string[]) => line(cells.map(markdownText))
  const parts = [`# ${title}`, `Retort report, ${createdAt}`]
  if (findings.length) parts.push(findings.map((line) => `- ${line}`).join('\n'))
  for (const table of tables) {
    const { columns, rows, notes, verdicts } = shownTable(table)
    const bold = (cell: ShownCell) => (cell.best ? `**${cellText(cell)}**` : cellText(cell))
    const lines = rows.map(({ head, cells }, i) =>
      line([markdownText(head), ...cells.map(bold), ...(verdicts ? [verdicts[i]!] : [])]),
    )
    const head = row(['', ...columns.map(headOf), ...(verdicts ? ['Verdict'] : [])])
    const rule = line(['---', ...columns.map(() => '---:'), ...(verdicts ? ['---'] : [])])
    parts.push(`## ${markdownText(table.title)}`, [head, rule, ...lines].join('\n'))
    parts.push(...notes.map(markdownText))
  }
  if (settings.rows.length) {
    const lines = settings.rows.map(({ head, cells }) => row([head, ...cells]))
    const head = row(['', ...settings.columns])
    parts.push(
      '## Settings that differ',
      [head, row(['---', ...settings.columns.map(() => '---')]), ...lines].join('\n'),
    )
  }
  return `${parts.join('\n\n')}\n`
}

/** One tidy table, a line a cell of the report's tables, values in full precision: what was not measured is left out. */
export function csvReport({ tables }: ReportContent): string {
  const lines = tables.flatMap(({ title, columns, rows }) =>
    rows.flatMap(({ head, cells, verdict }) => [
      ...cells.flatMap((value, i) => {
        const column = columns[i]!
        return value === null ? [] : [[title, head, column.title, column.unit ?? '', String(value)]]
      }),
      ...(verdict === undefined ? [] : [[title, head, 'verdict', '', verdict]]),
    ]),
  )
  return `${[['table', 'row', 'column', 'unit', 'value'], ...lines].map(csvLine).join('\n')}\n`
}

/** Everything, for programs; the step records of the runs are in their folders. */
export function jsonReport({ title, createdAt, findings, tables, comparison, runs }: ReportContent): string {
  const about = runs.map(({ row, config, environment, evaluations }) => ({
    run: row,
    config,
    environment,
    evaluations,
  }))
  return `${JSON.stringify({ title, createdAt, findings, tables, comparison, runs: about }, null, 2)}\n`
}
