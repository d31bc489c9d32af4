import type { Halving, Run } from '#contract'
import type { Table } from './content'

/** The runs that successive halving has stopped: shown with what they had come to, in no average. */
export function stoppedTable(
  stopped: readonly { run: Run; value: number | null }[],
  { metric, minSteps, reduction }: Halving,
): Table[] {
  if (!stopped.length) return []
  return [
    {
      title: 'Stopped by halving',
      note: `Judged at step ${minSteps} and at ${reduction} times as many steps, again and again; the best 1 / ${reduction} went on. These did not: they are in no mean, effect or difference of this report.`,
      columns: [
        { title: 'Stopped at step', better: 'neither' },
        { title: metric, better: 'neither' },
      ],
      rows: stopped.map(({ run, value }) => ({ head: run.name, run: run.id, cells: [run.step, value] })),
    },
  ]
}
