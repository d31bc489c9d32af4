import { figureDomains, thin, type Figure, type Series } from './chart'
import { latexText } from './latexText'

/** A figure that LaTeX draws from its data. */
export interface LatexFigure {
  /** Plain text, as the note of what it shows. */
  title: string
  note: string
  /** A tikzpicture. */
  plot: string
}

/** Points of a line: more would not be seen in a column, and TeX keeps them all. */
const POINTS = 200
const PER_LINE = 6

/** Lines over one axis. */
export function pgfLines(figure: Figure): LatexFigure {
  const { title, note, xLabel, yLabel, series } = figure
  const { x, y } = figureDomains(figure)
  const [xmin, xmax, ymin, ymax] = [...x, ...y].map(number)
  const options = [
    `xlabel={${latexText(xLabel)}}, ylabel={${latexText(yLabel)}}`,
    `xmin=${xmin}, xmax=${xmax}, ymin=${ymin}, ymax=${ymax}`,
    `legend style={font=\\small, draw=none, at={(0.5,-0.24)}, anchor=north}, legend columns=${series.some(({ name }) => name.length > 30) ? 1 : 2}, legend cell align=left`,
  ]
  return { title, note, plot: axis(options, series.flatMap(line)) }
}

/** A mean with its deviation over each of some values. */
export function pgfMeans(
  { title, note, xLabel, yLabel }: Omit<Figure, 'series'>,
  values: readonly { name: string; mean: number | null; deviation: number | null }[],
): LatexFigure {
  const places = values.map((_, at) => at).join(',')
  const options = [
    `xlabel={${latexText(xLabel)}}, ylabel={${latexText(yLabel)}}`,
    `xmin=-0.5, xmax=${values.length - 0.5}, xtick={${places}}, enlarge y limits=0.1`,
    `xticklabels={${values.map(({ name }) => `{${latexText(name)}}`).join(',')}}`,
    'x tick label style={align=center, text width=5em}',
  ]
  const points = values.flatMap(({ mean, deviation }, at) =>
    mean === null ? [] : [`  (${at},${number(mean)}) +- (0,${number(deviation ?? 0)})`],
  )
  const plot = '\\addplot[only marks, mark=*, error bars/.cd, y dir=both, y explicit] coordinates {'
  return { title, note, plot: axis(options, [plot, ...points, '};']) }
}

function axis(options: readonly string[], plots: readonly string[]): string {
  return [
    '\\begin{tikzpicture}',
    '\\begin{axis}[',
    '  width=0.85\\linewidth, height=0.45\\linewidth,',
    ...options.map((line) => `  ${line},`),
    '  grid=major, grid style={black!12}, tick label style={font=\\small}, scaled ticks=false]',
    ...plots,
    '\\end{axis}',
    '\\end{tikzpicture}',
  ].join('\n')
}

function line({ name, stroke: { color, dash }, points }: Series): string[] {
  const rgb = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16))
  const pattern = dash.map((length, i) => `${i % 2 ? 'off' : 'on'} ${length / 2}pt`).join(' ')
  const shown = thin(points, POINTS).map(([x, y]) => `(${number(x)},${number(y)})`)
  const rows = Array.from(
    { length: Math.ceil(shown.length / PER_LINE) },
    (_, i) => `  ${shown.slice(i * PER_LINE, (i + 1) * PER_LINE).join(' ')}`,
  )
  const drawn = `color={rgb,255:red,${rgb[0]};green,${rgb[1]};blue,${rgb[2]}}${pattern ? `, dash pattern=${pattern}` : ''}`
  return [
    `\\addplot[no marks, line width=0.7pt, ${drawn}] coordinates {`,
    ...rows,
    '};',
    `\\addlegendentry{${latexText(name)}}`,
  ]
}

/** Five digits are finer than a line. */
const number = (value: number) => String(Number(value.toPrecision(5)))
