import type { ReportContent } from './content'
import type { Figure, Series } from './chart'
import { reliabilityFigures } from './reliability'

const FIRST = 'One line a method, of its first seed.'
const SMOOTHED = 'Smoothed by an exponential moving average with a half-life of about ten steps.'

/** The figures of the chosen sections, by section; those that have nothing to show are left out. */
export function reportFigures(content: ReportContent): { reliability: Figure[]; curves: Figure[] } {
  const { sections } = content
  const some = (figures: Figure[]) => figures.filter(({ series }) => series.some((s) => s.points.length))
  return {
    reliability: sections.has('calibration') ? some(reliabilityFigures(content)) : [],
    curves: sections.has('curves') ? some(curveFigures(content)) : [],
  }
}

function curveFigures({ methods, strokes }: ReportContent): Figure[] {
  const runs = methods.map((method) => method.runs[0]!)
  const ofSteps = (key: 'ce' | 'kd'): Series[] =>
    runs
      .map(({ row, steps }) => ({
        name: row.name,
        stroke: strokes.get(row.id)!,
        points: smooth(
          steps.flatMap((s) => (typeof s[key] === 'number' ? [[s.step, s[key]] as [number, number]] : [])),
        ),
      }))
      .filter(({ points }) => points.length)
  const ofEvaluations = (key: 'perplexity' | 'klToFused'): Series[] =>
    runs
      .map(({ row, evaluations }) => ({
        name: row.name,
        stroke: strokes.get(row.id)!,
        points: evaluations.flatMap((e) =>
          typeof e[key] === 'number' ? [[e.step, e[key]] as [number, number]] : [],
        ),
      }))
      .filter(({ points }) => points.length > 1)
  const alphas = runs
    .filter(({ row }) => row.teachers.length > 1)
    .map(({ row, steps }) => ({
      title: `Teacher weights: ${row.name}`,
      note: `Mean of the batch. ${SMOOTHED}`,
      xLabel: 'step',
      yLabel: 'alpha, mean of the batch',
      series: row.teachers.map(({ id, name }, k) => ({
        name,
        stroke: strokes.get(id)!,
        points: smooth(steps.flatMap((s) => (s.alpha ? [[s.step, s.alpha[k]!] as [number, number]] : []))),
      })),
    }))
  const figure = (title: string, yLabel: string, series: Series[], note = FIRST): Figure => ({
    title,
    note,
    xLabel: 'step',
    yLabel,
    series,
  })
  return [
    figure('Held-out perplexity', 'per token', ofEvaluations('perplexity')),
    figure('KL to the fused target, held-out', 'nats/token', ofEvaluations('klToFused')),
    figure('Cross-entropy, training', 'nats/token, smoothed', ofSteps('ce'), `${FIRST} ${SMOOTHED}`),
    figure('Distillation loss, training', 'smoothed', ofSteps('kd'), `${FIRST} ${SMOOTHED}`),
    ...alphas,
  ]
}

/** Exponential moving average with a half-life of about ten steps. */
function smooth(points: readonly [number, number][]): [number, number][] {
  let mean: number | undefined
  return points.map(([x, y]) => [x, (mean = mean === undefined ? y : mean + 0.07 * (y - mean))])
}
