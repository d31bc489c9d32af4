import { describe, expect, it } from 'vitest'
import type { GridCell, GridMetric, HeldOutDocument } from '#contract'
import { createRandom } from '../../files'
import { gridFigures } from '#contract'
import { DocumentBootstrap } from './documents'
import { gridFigure } from './figures'
import { gridResults } from './results'
import { meanWithDeviation } from '../report'
import { latexTables, tidyCsv } from './tables'

const METRICS: GridMetric[] = [
  { key: 'perplexity', title: 'Perplexity', unit: '', better: 'lower' },
  { key: 'agreement', title: 'Agreement', unit: '%', better: 'higher' },
]
const AXES = { 'loss.tau': [1, 2], teachers: [['a_b'], ['a_b', 'c&d "x", y']] }

/** Perplexity by tau, teachers and seed: tau 2 is better by far, two teachers by nothing. */
const documents = new Map<string, HeldOutDocument[]>()
const random = createRandom(1, 'export-test')
const hard = Array.from({ length: 30 }, () => random.normal())
const cells = AXES['loss.tau'].flatMap((tau) =>
  AXES.teachers.flatMap((teachers) =>
    [1, 2].map((seed): GridCell => {
      const run = `run-${tau}-${teachers.length}-${seed}`
      const nll = (d: number) => 10 * (2 + hard[d]! - (tau === 2 ? 0.2 : 0) + 0.01 * random.normal())
      const rows = hard.map((_, d) => ({ corpus: 'c', document: d, tokens: 10, bytes: 30, nll: nll(d) }))
      documents.set(run, rows)
      const perplexity = Math.exp(rows.reduce((sum, row) => sum + row.nll, 0) / 300)
      const metrics = { perplexity, agreement: seed === 1 && tau === 1 ? null : 0.5 }
      const status = 'completed' as const
      return {
        axes: { 'loss.tau': tau, teachers },
        seed,
        digest: '0'.repeat(64),
        run,
        status,
        step: 1,
        steps: 1,
        metrics,
      }
    }),
  ),
)
cells.push({ ...cells[0]!, seed: 3, run: 'cut-short', status: 'stopped', metrics: { perplexity: 1e9 } })
const row = { name: '50% of_it', axes: AXES, cells }
const bootstrap = new DocumentBootstrap((run) => ({ tokenizer: 't', documents: documents.get(run) ?? [] }))
const results = (query = {}) => gridResults(row, METRICS, query, bootstrap)

describe('differences by documents', () => {
  it('find the axis that matters, in the metric’s own unit, and no other', () => {
    const { settings } = results()
    const [base, twin, better] = settings
    expect(twin!.difference).toMatchObject({ basis: 'documents', different: false, seeds: 2 })
    expect(better!.difference).toMatchObject({ basis: 'documents', different: true })
    const { low, high, mean } = better!.difference!
    expect(low!).toBeLessThan(mean)
    expect(high!).toBeGreaterThan(mean)
    // 0.2 nats less of a perplexity of about e^2.
    expect(mean / base!.mean!).toBeCloseTo(Math.exp(-0.2) - 1, 1)
  })

  it('of other tokenizers, or without documents, fall back on the seeds', () => {
    const mixed = new DocumentBootstrap((run) => ({
      tokenizer: run.startsWith('run-2') ? 'other' : 't',
      documents: documents.get(run)!,
    }))
    const { settings } = gridResults(row, METRICS, {}, mixed)
    expect(settings.map(({ difference }) => difference?.basis)).toEqual([
      undefined,
      'documents',
      'seeds',
      'seeds',
    ])
    const none = new DocumentBootstrap(() => undefined)
    expect(gridResults(row, METRICS, {}, none).settings[1]!.difference!.basis).toBe('seeds')
  })

  it('give the best setting an interval: over seeds, or over documents where there is one seed', () => {
    expect(results()).toMatchObject({ bestInterval: { basis: 'seeds' } })
    const one = { ...row, cells: cells.filter(({ seed }) => seed === 1) }
    const { bestInterval, settings, best } = gridResults(one, METRICS, {}, bootstrap)
    const { mean } = settings.find(({ key }) => key === best)!
    expect(bestInterval).toMatchObject({ basis: 'documents' })
    expect(bestInterval!.low).toBeLessThan(mean!)
    expect(bestInterval!.high).toBeGreaterThan(mean!)
    expect(gridResults(one, METRICS, { metric: 'agreement' }, bootstrap).bestInterval).toBeNull()
  })
})

/** RFC 4180, written anew. */
function readCsv(text: string): string[][] {
  const fields = [...text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)]
  const rows: string[][] = [[]]
  for (const [, quoted, plain, end] of fields) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === '\n') rows.push([])
  }
  return rows.slice(0, -1)
}

describe('an export', () => {
  it('as CSV has a row for every cell, seed and metric, and loses no digit', () => {
    const [head, ...lines] = readCsv(tidyCsv(row, results().metrics))
    expect(head).toEqual(['grid', 'loss.tau', 'teachers', 'seed', 'status', 'run', 'metric', 'value'])
    expect(lines).toHaveLength(9 * 2)
    for (const cell of cells) {
      const own = lines.filter((line) => line[5] === cell.run)
      expect(own.map((line) => [line[6], line[7]])).toEqual([
        ['perplexity', String(cell.metrics.perplexity)],
        ['agreement', cell.metrics.agreement == null ? '' : '0.5'],
      ])
      expect(own[0]!.slice(1, 5)).toEqual([
        String(cell.axes['loss.tau']),
        (cell.axes.teachers as string[]).join(' + '),
        String(cell.seed),
        cell.status,
      ])
    }
  })

  it('as LaTeX is well-formed: groups closed, rows of one length, nothing special left bare', () => {
    const all = ['perplexity', 'agreement'].map((metric) => results({ metric }))
    const text = latexTables(row.name, all, results())
    const environments = [...text.matchAll(/\\(begin|end)\{(\w+)\}/g)].map(([, verb, name]) => [verb, name])
    const open: string[] = []
    for (const [verb, name] of environments) {
      if (verb === 'begin') open.push(name!)
      else expect(open.pop()).toBe(name)
    }
    expect(open).toEqual([])
    let depth = 0
    for (const [brace] of text.matchAll(/(?<!\\)[{}]/g)) {
      depth += brace === '{' ? 1 : -1
      expect(depth).toBeGreaterThanOrEqual(0)
    }
    expect(depth).toBe(0)
    for (const [, columns, body] of text.matchAll(/\\begin\{tabular\}\{([lr]+)\}([^]*?)\\end\{tabular\}/g)) {
      const rows = body!.split('\n').filter((line) => line.endsWith('\\\\'))
      for (const line of rows) expect(line.match(/(?<!\\)&/g)).toHaveLength(columns!.length - 1)
    }
    const bare = text
      .replaceAll(/^%.*$/gm, '')
      .replaceAll('{!}{%', '')
      .replaceAll(/\\[&%#_$]|\$\\pm\$|\$-\$/g, '')
      .replaceAll(/ & |\n/g, '')
    expect(bare).not.toMatch(/[%#_$~^&]/)
    expect(text).toContain('50\\% of\\_it')
  })

  it('as LaTeX has the best in bold and leaves out what was stopped, saying so', () => {
    const found = results()
    const text = latexTables(row.name, [found], found)
    const best = found.settings.find(({ key }) => key === found.best)!
    const [mean, sd] = meanWithDeviation(best.mean!, best.sd)
    const table = text.split('\\end{table}')[0]!
    expect([...table.matchAll(/\\textbf\{([^}]*)\} \$\\pm\$ ([\d.]+)/g)].map((m) => m.slice(1))).toEqual([
      [mean, sd],
    ])
    // The second value of tau differs from the baseline, and of the teachers none.
    const marked = table
      .split('\n')
      .filter((line) => line.includes('\\dag} \\\\') || line.includes('\\dag} &'))
    expect(marked.map((line) => line.split(' & ')[0])).toEqual(['2', '2'])
    expect(table).toMatch(
      /\\dag\} differs from loss\.tau=1, .*paired bootstrap over seeds and held-out documents/,
    )
    expect(table).toMatch(/\\label\{tab:50-of-it-50-of-it\}/)
    expect(text).toMatch(
      /\(1,[\d.]+\) \+- \(0,[\d.]+\)[^]*\\label\{fig:50-of-it-50-of-it-perplexity-by-loss-tau\}/,
    )
    expect(text).toContain('A cell that was stopped or failed is left out')
    expect(text).not.toContain('1000000000')
  })

  it('gives a deviation two digits, and the mean as many decimals', () => {
    expect(meanWithDeviation(12.34567, 0.0456)).toEqual(['12.346', '0.046'])
    expect(meanWithDeviation(1234.5, 67.8)).toEqual(['1235', '68'])
    expect(meanWithDeviation(2.5, null)).toEqual(['2.500', null])
    expect(meanWithDeviation(2.5, 0)).toEqual(['2.500', '0'])
  })

  it('prints the heatmap’s values so that they can be read on their colours', () => {
    const svg = gridFigure('heatmap', row.name, results())
    const luminance = (channels: number[]) =>
      channels
        .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i]!, 0)
    const channels = (hex: string) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))
    const pairs = [
      ...svg.matchAll(/<rect[^>]*fill="(#\w{6})" fill-opacity="([\d.]+)"[^>]*\/><text[^>]*fill="(#\w{6})"/g),
    ]
    expect(pairs).toHaveLength(4)
    for (const [, fill, opacity, ink] of pairs) {
      const ground = channels(fill!).map((c) => c * Number(opacity) + 255 * (1 - Number(opacity)))
      const [low, high] = [luminance(ground), luminance(channels(ink!))].sort((a, b) => a - b)
      expect((high! + 0.05) / (low! + 0.05)).toBeGreaterThanOrEqual(4.5)
    }
  })

  it.each(gridFigures)('draws the %s as XML with every label in it', (figure) => {
    const svg = gridFigure(figure, row.name, results())
    const stack: string[] = []
    for (const [, close, name, self] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (close) expect(stack.pop()).toBe(name)
      else if (!self) stack.push(name!)
    }
    expect(stack).toEqual([])
    expect(svg).not.toMatch(/NaN|Infinity|undefined|&(?!amp;|lt;|gt;|quot;)/)
    const wanted =
      figure === 'importance' ? ['loss.tau', 'teachers'] : ['a_b + c&amp;d &quot;x&quot;, y', 'loss.tau']
    for (const label of wanted) expect(svg).toContain(label)
  })
})
