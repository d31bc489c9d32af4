import { describe, expect, it } from 'vitest'
import { reportContent } from './assemble'
import { latexDocument, latexNumber, latexQuantity, type LatexTable } from './latex'
import { latexReport } from './latexReport'
import { latexText } from './latexText'
import { pgfLines } from './pgfplots'
import { all, library } from './testing'

it('escapes everything that means something to LaTeX', () => {
  expect(latexText('a_b & 50% of $x #1 {c} d\\e')).toBe(
    'a\\_b \\& 50\\% of \\$x \\#1 \\{c\\} d\\textbackslash{}e',
  )
  expect(latexText('~^[<|>')).toBe(
    '\\textasciitilde{}\\textasciicircum{}{[}\\textless{}\\textbar{}\\textgreater{}',
  )
})

it('writes signs and Greek letters as mathematics and leaves other letters alone', () => {
  expect(latexText('τ=1, α×2 ± Δ')).toBe('$\\tau$=1, $\\alpha$$\\times$2 $\\pm$ $\\Delta$')
  expect(latexText('ω ς σ π')).toBe('$\\omega$ $\\varsigma$ $\\sigma$ $\\pi$')
  expect(latexText('Zürich – “größer”')).toBe('Zürich – “größer”')
  expect(['-4.8', '–', '1.0e-5', '-2 to -1'].map(latexNumber)).toEqual([
    '$-$4.8',
    '--',
    '1.0e-5',
    '$-$2 to $-$1',
  ])
})

it('writes a value with its deviation and its mark', () => {
  expect(latexQuantity({ value: '4.92', deviation: '0.06', best: true, marked: true })).toBe(
    '\\textbf{4.92} $\\pm$ 0.06\\textsuperscript{\\dag}',
  )
})

const table = (columns: number, rows: number): LatexTable => ({
  title: 'Many',
  notes: ['Means.'],
  names: 1,
  columns: `l${'r'.repeat(columns)}`,
  head: ['', ...Array.from({ length: columns }, (_, j) => `c${j}`)],
  rows: Array.from({ length: rows }, (_, i) => [
    `r${i}`,
    ...Array.from({ length: columns }, (_, j) => `${i}.${j}`),
  ]),
})
const tabulars = (text: string) =>
  [...text.matchAll(/\\begin\{tabular\}([^]*?)\\end\{tabular\}/g)].map(([all]) => all)

describe('a table', () => {
  it('that is too wide stands in parts that fit, each naming its rows, and loses no cell', () => {
    const wide = table(30, 3)
    const text = latexDocument({ title: 't', tables: [wide] })
    expect(text).not.toContain('resizebox')
    expect(text.match(/\\begin\{table\}/g)).toHaveLength(1)
    const parts = tabulars(text)
    expect(parts.length).toBeGreaterThan(1)
    for (const part of parts) {
      for (const line of part.split('\n')) expect(line.length).toBeLessThan(110)
      expect(part).toMatch(/^r0 & /m)
    }
    for (const cell of wide.rows.flat().slice(1)) expect(text).toContain(cell)
  })

  it('that is longer than a page goes on in a further float with a label of its own', () => {
    const text = latexDocument({ title: 'Paper', tables: [table(2, 100), table(2, 2)] })
    const labels = [...text.matchAll(/\\label\{([^}]*)\}/g)].map(([, label]) => label)
    expect(labels).toEqual(['tab:paper-many', 'tab:paper-many-2', 'tab:paper-many-3', 'tab:paper-many-4'])
    expect(text.match(/Many \(continued\)/g)).toHaveLength(2)
    for (let i = 0; i < 100; i++) expect(text).toContain(`r${i} & ${i}.0`)
  })

  it('breaks names that would take the line', () => {
    const name = 'weighting.strategy=calibrated-entropy, loss.features.gamma=0.1'
    const long = { ...table(6, 1), rows: [[name, ...Array<string>(6).fill('1234')]] }
    const text = latexDocument({ title: 't', tables: [long] })
    expect(tabulars(text)).toHaveLength(1)
    expect(
      latexDocument({ title: 't', tables: [{ ...table(1, 1), rows: [['some name', '1']] }] }),
    ).not.toContain('parbox')
    expect(text).toMatch(/\\parbox\[t\]\{12em\}\{\\raggedright weighting\.\\allowbreak\{\}strategy/)
  })
})

it('draws a line from its own data, its outliers kept, in its own colour', () => {
  const points = Array.from({ length: 5000 }, (_, i) => [i, i === 2345 ? 7 : 1] as const)
  const { plot } = pgfLines({
    title: 'T',
    note: '',
    xLabel: 'step',
    yLabel: 'nats_1',
    series: [{ name: 'a & b', stroke: { color: '#0072b2', dash: [6, 4] }, points }],
  })
  expect(plot).toContain('(2345,7)')
  expect(plot.match(/\(\d+,\d+\)/g)!.length).toBeLessThanOrEqual(200)
  expect(plot).toContain('color={rgb,255:red,0;green,114;blue,178}, dash pattern=on 3pt off 2pt')
  expect(plot).toContain('\\addlegendentry{a \\& b}')
  expect(plot).toContain('ylabel={nats\\_1}')
})

describe('a report', () => {
  const content = reportContent('Study of it', all, library)
  const text = latexReport(content)

  it('labels every float once and says in captions how intervals were made', () => {
    const floats = text.match(/\\begin\{(table|figure)\}/g)!
    const labels = [...text.matchAll(/\\label\{([^}]*)\}/g)].map(([, label]) => label)
    expect(labels).toHaveLength(floats.length)
    expect(new Set(labels).size).toBe(labels.length)
    expect(labels).toContain('tab:study-of-it-methods-over-seeds')
    expect(text).toMatch(
      /\\caption\[Differences to plain\].*paired bootstrap over seeds and held-out documents/,
    )
    expect(text).toMatch(
      /\\caption\[Methods over seeds\].*Mean over the seeds \$\\pm\$ sample standard deviation/,
    )
    expect(text).toMatch(/\\begin\{axis\}[^]*\\label\{fig:study-of-it-reliability-better\}/)
  })

  it('marks the method that differs by more than chance, and not its twin', () => {
    const methods = text.split('\\label{tab:study-of-it-methods-over-seeds}')[1]!.split('\\end{table}')[0]!
    const row = (name: string) => methods.split('\n').find((line) => line.startsWith(`${name} &`))!
    expect(row('better')).toMatch(/\\textbf\{[\d.]+\} \$\\pm\$ [\d.]+\\textsuperscript\{\\dag\}/)
    expect(row('twin')).not.toContain('dag')
    expect(row('plain')).not.toContain('dag')
    expect(text).toMatch(/\\dag\} differs from plain: the 95 \\% interval/)
  })

  it('gives p as a bound where it is small, never as zeros', () => {
    const differences = text
      .split('\\label{tab:study-of-it-differences-to-plain}')[1]!
      .split('\\end{table}')[0]!
    expect(differences).toContain('\\textless{} 0.001')
    expect(differences).not.toMatch(/0\.000/)
    expect(differences).toMatch(/\$-\$[\d.]+ to \$-\$[\d.]+/)
  })

  it('is as a document complete, with what the numbers say', () => {
    const document = latexReport(content, true)
    expect(document).toMatch(
      /\\documentclass[^]*\\title\{Study of it\}[^]*\\begin\{document\}[^]*\\end\{document\}\n$/,
    )
    for (const name of ['booktabs', 'pgfplots']) {
      expect(document).toContain(`\\usepackage{${name}}`)
      expect(text).toContain(`%   \\usepackage{${name}}`)
    }
    expect(document.match(/\\item /g)).toHaveLength(content.findings.length)
    expect(text).not.toContain('\\documentclass')
  })
})
