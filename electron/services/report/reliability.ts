import { isNumber, type CalibrationScore, type Measured } from '#contract'
import type { Figure } from './chart'
import type { ReportContent, ReportedRun, Table } from './content'
import type { Method } from '../comparison'

/** A calibrated model's line, which is nobody's. */
const CALIBRATED = { color: '#8a8a8a', dash: [2, 4] }
/** Bins of the calibration error, as the evaluation makes them. */
const BINS = 15
/** Diagrams that a report shows at most. */
const DIAGRAMS = 6

/** Calibration of each method's student and of every teacher, once each. */
export function calibrationTables(methods: readonly Method<ReportedRun>[]): Table[] {
  const teachers = new Map<string, CalibrationScore>()
  const students: Table['rows'] = []
  for (const { label, runs } of methods) {
    const [student, ...others] = runs[0]!.detail?.calibration ?? []
    if (student) students.push({ head: label, run: runs[0]!.row.id, cells: cells(student) })
    for (const score of others) teachers.set(score.model, score)
  }
  if (!students.length) return []
  const rows = [...teachers.values()].map((score) => ({
    head: `${score.model} (teacher)`,
    cells: cells(score),
  }))
  return [
    {
      title: 'Calibration on held-out tokens',
      note: `Expected calibration error over ${BINS} bins of equal mass, and Brier score over the vocabulary. Students: the first seed of each method.`,
      columns: [
        { title: 'Top-1 accuracy', better: 'higher' },
        { title: 'ECE', better: 'lower' },
        { title: 'Brier score', better: 'lower' },
      ],
      rows: [...students, ...rows],
    },
  ]
}

const cells = ({ accuracy, ece, brier }: CalibrationScore): Measured[] => [accuracy, ece, brier]

/** Reliability diagrams: accuracy over confidence, student and teachers, beside what a calibrated model shows. */
export function reliabilityFigures({ methods, strokes }: ReportContent): Figure[] {
  return methods
    .filter(({ runs }) => runs[0]!.detail?.calibration.length)
    .slice(0, DIAGRAMS)
    .map(({ label, runs }) => {
      const { row, config, detail } = runs[0]!
      const ids = [row.id, ...config.teachers.map(({ id }) => id)]
      const lines = detail!.calibration.map(({ model, bins }, i) => ({
        name: model,
        stroke: strokes.get(ids[i]!)!,
        points: bins.flatMap(({ confidence, accuracy }) =>
          isNumber(confidence) ? [[confidence, accuracy] as const] : [],
        ),
      }))
      const diagonal = { name: 'calibrated', stroke: CALIBRATED, points: [[0, 0] as const, [1, 1] as const] }
      return {
        title: `Reliability: ${label}`,
        note: `Accuracy over confidence on held-out tokens, in ${BINS} bins of equal mass; a calibrated model is on the diagonal. The student’s first seed.`,
        xLabel: 'confidence',
        yLabel: 'accuracy',
        series: [...lines, diagonal],
      }
    })
}
