import { describe, expect, it } from 'vitest'
import { numberOf } from '#contract'
import { compareRuns, gatherMethods, judge } from '../comparison'
import { reportContent } from './assemble'
import { sayVerdict } from './methods'
import { latexReport } from './latexReport'
import { csvReport, jsonReport, markdownReport } from './plain'

import { all, better, library, plain, run, tokenizer } from './testing'

describe('methods over seeds', () => {
  it('are gathered by everything but the seed, under one name', () => {
    const methods = gatherMethods([better[0]!, plain[0]!, better[1]!])
    expect(methods.map(({ label, runs }) => [label, runs.length])).toEqual([
      ['better', 2],
      ['plain', 1],
    ])
  })

  it('count a seed once, however often it was run: what is repeated is named and enters nothing twice', () => {
    const again = (name: string, step: number) => {
      const { row, ...rest } = run('plain', 3, 3)
      return { ...rest, row: { ...row, id: name, name, step } }
    }
    // Eight runs of one definition and one seed; the first of them was stopped before the end.
    const eight = [again('cut', 10), ...Array.from({ length: 7 }, (_, i) => again(`again-${i + 1}`, 400))]
    const [method] = gatherMethods(eight)
    expect(method!.runs.map(({ row }) => row.id)).toEqual(['again-1'])
    expect(method!.repeats.map(({ row }) => row.id).sort()).toEqual([
      'again-2',
      'again-3',
      'again-4',
      'again-5',
      'again-6',
      'again-7',
      'cut',
    ])
    const report = reportContent('t', [...eight, ...better], library)
    const table = report.tables.find(({ title }) => title === 'Methods over seeds')!
    expect(table.rows.map(({ cells }) => cells[0])).toEqual([1, 3])
    // One seed has no deviation, whatever it was run for.
    expect(table.rows[0]!.cells[2]).toBeNull()
    expect(report.findings[0]).toMatch(
      /^The same seed again is not another seed\. These runs repeat one and count once, .*: cut, again-2, .*, again-7 \(as again-1, seed 3\)\.$/,
    )
    const [verdict] = judge([[gatherMethods(better)[0]!, method!]])
    expect(verdict!.difference.seeds).toBe(1)
  })

  it('with a run that came to no finite number have a mean that says so, and are last in every ranking', () => {
    const lost = run('plain', 2, 3)
    const score = { crossEntropy: 800, perplexity: 'Infinity' as const, bitsPerByte: 577 }
    Object.assign(lost.row.evaluation!, score, {
      corpora: [{ ...lost.row.evaluation!.corpora[0]!, ...score }],
    })
    const report = reportContent('t', [plain[0]!, lost, ...better], library)
    const row = (title: string, of: string) =>
      report.tables.find((table) => table.title === title)!.rows.find(({ head }) => head.startsWith(of))!
    expect(row('Methods over seeds', 'plain').cells.slice(0, 3)).toEqual([2, 'Infinity', 'NaN'])
    expect(row('Held-out metrics', 'plain, seed 2').cells[0]).toBe('Infinity')
    expect(report.comparison.rows[1]!.differences.perplexity).toBe('Infinity')
    expect(report.comparison.best.perplexity).toBe(
      better.find(({ row }) => row.id === report.comparison.best.perplexity)!.row.id,
    )
    expect(report.findings.join()).toContain('Lowest held-out perplexity: better with')
    expect(report.findings.join()).toContain('before plain with ∞')
    expect(markdownReport(report)).toContain('| ∞ |')
    expect(latexReport(report)).toContain('$\\infty$')
    expect(csvReport(report)).toContain(',Infinity\n')
    expect(JSON.parse(jsonReport(report))).toMatchObject({
      runs: [{}, { run: { evaluation: { perplexity: 'Infinity' } } }, {}, {}, {}],
    })
  })

  it('differ or do not, and the words say which', () => {
    const [a, b, c] = gatherMethods(all)
    const [real, chance] = judge([
      [a!, b!],
      [c!, b!],
    ])
    expect(real).toMatchObject({ real: true, difference: { seeds: 3, documents: 30 } })
    expect(sayVerdict(real!)).toMatch(/^better is better than plain: perplexity -\d/)
    expect(chance!.real).toBe(false)
    expect(sayVerdict(chance!)).toContain('no difference')
  })

  it('stand in a comparison as one, and none of them is judged against another seed of its own setting', () => {
    const { methods, rows } = compareRuns(all, plain[1]!.row.id)
    expect(rows).toHaveLength(9)
    expect(methods.map(({ label, runs }) => [label, runs.length])).toEqual([
      ['better', 3],
      ['plain', 3],
      ['twin', 3],
    ])
    const [own, base, twins] = methods
    expect(base!.intervals).toEqual({})
    expect(own!.intervals.crossEntropy).toMatchObject({ real: true })
    expect(twins!.intervals.crossEntropy).toMatchObject({ real: false })
    const values = better.map(({ row }) => numberOf(row.evaluation!.perplexity))
    const mean = values.reduce((sum, value) => sum + value) / 3
    const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2)
    // 4.303: Student's t, two degrees of freedom, 95 %.
    expect(own!.values.perplexity).toEqual({
      mean: expect.closeTo(mean, 10) as number,
      low: expect.closeTo(mean - (4.303 * sd) / Math.sqrt(3), 10) as number,
      high: expect.closeTo(mean + (4.303 * sd) / Math.sqrt(3), 10) as number,
    })
  })

  it('of different tokenizers are not compared by token', () => {
    const other = { ...run('other', 1, 2) }
    other.config = { ...other.config, tokenizer: { ...tokenizer, digest: '1'.repeat(64) } }
    expect(judge([[gatherMethods([other])[0]!, gatherMethods(plain)[0]!]])).toEqual([])
  })
})
