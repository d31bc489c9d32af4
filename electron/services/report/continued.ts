import { measuredOf, numberOf } from '#contract'
import { beforeAndAfter } from '../comparison'
import type { ReportedRun, Table } from './content'

/** A continued run: each corpus before its new teachers and after. */
export function beforeAndAfterTable(run: ReportedRun): Table[] {
  const pair = beforeAndAfter(run)
  if (!pair) return []
  const { name, step } = run.config.continues!
  const names = new Map([
    ...run.config.continues!.corpora.map(({ id, name }) => [id, `${name} (no longer trained on)`] as const),
    ...run.config.corpora.map(({ row }) => [row.id, row.name] as const),
  ])
  return [
    {
      title: `Before and after: ${run.row.name}`,
      note: `Bits per byte, held-out. Before: the student of ${name} at step ${step}, as this run began with it.`,
      columns: [
        { title: 'Before', better: 'neither' },
        { title: 'After', better: 'neither' },
        { title: 'Change', better: 'neither' },
      ],
      rows: pair.map(({ corpus, before, after }) => ({
        head: names.get(corpus) ?? corpus,
        cells: [before, after, before === null ? null : measuredOf(numberOf(after) - numberOf(before))],
      })),
    },
  ]
}
