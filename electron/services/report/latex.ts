import { latexText } from './latexText'
import { packedTable, type LatexTable } from './latexLayout'
import type { LatexFigure } from './pgfplots'
import { MARK, type ShownCell } from './shown'

export type { LatexTable } from './latexLayout'

/** What is to be written, in this order. */
export interface LatexContent {
  /** Of the whole: labels begin with it. */
  title: string
  tables: readonly LatexTable[]
  figures?: readonly LatexFigure[]
  /** Sentences; a document alone has them. */
  findings?: readonly string[]
}

/** Digits of 9 pt in a line: of article as it is, 345 pt, which is the narrowest; of a document of ours. */
const LINE = { paper: 74, document: 98 }
const LETTERS = '% Names in other scripts than Latin and Greek need XeLaTeX or LuaLaTeX.'

/**
 * Tables with booktabs and figures with pgfplots, each a float with caption and label: to be read into a paper, or a
 * document that compiles by itself.
 */
export function latexDocument(content: LatexContent, standalone = false): string {
  const { title, tables, figures = [], findings = [] } = content
  const labels = new Set<string>()
  const label = (kind: 'tab' | 'fig', name: string) => {
    const wanted = `${kind}:${slug(title, 30)}-${slug(name, 50)}`
    let label = wanted
    for (let n = 2; labels.has(label); n++) label = `${wanted}-${n}`
    labels.add(label)
    return label
  }
  const floats = [
    ...tables.flatMap((table) =>
      packedTable(table, () => label('tab', table.title), LINE[standalone ? 'document' : 'paper']),
    ),
    ...figures.map((figure) => floating(figure, label('fig', figure.title))),
  ]
  const packages = ['\\usepackage{booktabs}', ...(figures.length ? ['\\usepackage{pgfplots}', COMPAT] : [])]
  if (!standalone) {
    const preamble = ['% In the preamble:', ...packages.map((line) => `%   ${line}`), LETTERS].join('\n')
    return `${[preamble, ...floats].join('\n\n')}\n`
  }
  const said = findings.map((line) => `\\item ${latexText(line)}`)
  return `${[
    [LETTERS, '\\documentclass[11pt,a4paper]{article}', FONTS, ...packages].join('\n'),
    `\\title{${latexText(title)}}\n\\author{}`,
    '\\begin{document}\n\\maketitle',
    ...(said.length ? [['\\begin{itemize}', ...said, '\\end{itemize}'].join('\n')] : []),
    ...floats,
    '\\end{document}',
  ].join('\n\n')}\n`
}

const COMPAT = '\\pgfplotsset{compat=1.16}'
const FONTS = [
  '\\usepackage[margin=25mm]{geometry}',
  '\\usepackage{iftex}',
  '\\iftutex\\usepackage{fontspec}\\else\\usepackage[T1]{fontenc}\\usepackage{lmodern}\\fi',
].join('\n')

/** A number as LaTeX: bold where it is the best, its deviation and its mark beside it. */
export function latexQuantity({ value, deviation, best, marked }: ShownCell): string {
  const shown = latexNumber(value)
  return [
    best ? `\\textbf{${shown}}` : shown,
    deviation === undefined ? '' : ` $\\pm$ ${deviation}`,
    marked ? latexText(MARK) : '',
  ].join('')
}

/** A number that was written for reading: its signs as mathematics, a dash where there is none. */
export function latexNumber(shown: string): string {
  return shown === '–' ? '--' : latexText(shown)
}

function floating({ title, note, plot }: LatexFigure, label: string): string {
  const [short, about] = [title, note].map(latexText)
  return [
    '\\begin{figure}[htbp]',
    '\\centering',
    plot,
    `\\caption[${short}]{${short}. ${about}}`,
    `\\label{${label}}`,
    '\\end{figure}',
  ].join('\n')
}

function slug(name: string, most: number): string {
  const text = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
  return text.slice(0, most).replace(/^-|-$/g, '')
}
