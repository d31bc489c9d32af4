import type { Run } from '#contract'
import type { Table } from './content'

/** What the teachers' outputs cost: passes made, passes that the cache saved, and the time of both. */
export function passesTable(runs: readonly Pick<Run, 'teachers' | 'teacherOutputs' | 'last'>[]): Table[] {
  const outputs = runs.flatMap(({ teacherOutputs }) => teacherOutputs)
  if (!outputs.some(({ computed, reused }) => computed || reused)) return []
  const names = new Map(runs.flatMap(({ teachers }) => teachers.map(({ id, name }) => [id, name])))
  const training = runs.reduce((sum, { last }) => sum + (last?.seconds ?? 0), 0)
  const line = (of: typeof outputs) => {
    const sum = (value: (one: (typeof of)[number]) => number) => of.reduce((a, one) => a + value(one), 0)
    const made = new Set(of.filter(({ computed }) => computed > 0).map(({ key }) => key)).size
    const read = of.filter(({ computed, reused }) => computed === 0 && reused > 0).length
    return { made, read, seconds: sum((one) => one.seconds), saved: sum((one) => one.secondsSaved) }
  }
  const all = line(outputs)
  return [
    {
      title: 'Teacher passes',
      note: `A pass is one teacher's reading of one plan of batches. Kept on disk, it serves every run that reads the same batches. ${costOf(all, training)}`,
      columns: [
        { title: 'Passes made', better: 'neither' },
        { title: 'Taken from the cache', better: 'neither' },
        { title: 'Making them', unit: 's', better: 'neither' },
        { title: 'Saved', unit: 's', better: 'neither' },
      ],
      rows: [
        ...[...names].map(([id, head]) => [head, outputs.filter(({ teacher }) => teacher === id)] as const),
        ['all', outputs] as const,
      ].map(([head, of]) => {
        const { made, read, seconds, saved } = line(of)
        return { head, cells: [made, read, seconds, saved] }
      }),
    },
  ]
}

/** What of it was measured, and what is an estimate. */
function costOf({ seconds, saved }: { seconds: number; saved: number }, training: number): string {
  const spent = seconds + training
  const share = saved ? saved / (saved + spent) : 0
  const ratio = training ? `; together ${(spent / training).toFixed(2)} times those steps` : ''
  return [
    `Measured: ${seconds.toFixed(1)} s of passes and ${training.toFixed(1)} s of training steps, the reading of outputs in them${ratio}.`,
    `Estimated: the time saved is what the teacher would have taken there, by its own speed, less the waiting for what is read; it is ${(share * 100).toFixed(1)} % of what steps and passes would have taken together.`,
    'What the reading slows a step down by is not told apart here: the bench of grids measures it.',
  ].join(' ')
}
