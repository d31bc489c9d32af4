import { describe, expect, it } from 'vitest'
import { numberOf, type RunConfig } from '#contract'
import { reportContent } from './assemble'
import type { ReportedRun } from './content'
import { htmlReport } from './html'
import { latexReport } from './latexReport'
import { csvLine, csvReport, jsonReport, markdownReport } from './plain'

import { all, better, library, now, run } from './testing'

describe('a report', () => {
  const questions = [
    { ask: 'Is better better?', compare: [['better', 'plain']] as [string, string][] },
    { ask: 'Is the twin better?', compare: [['twin', 'plain']] as [string, string][] },
    { ask: 'And what never ran?', compare: [['ghost', 'plain']] as [string, string][] },
  ]
  const content = reportContent('Study', all, library, { questions })

  it('answers its questions first, whatever the answer is', () => {
    expect(content.findings[0]).toMatch(/^Is better better\? Yes\./)
    expect(content.findings[1]).toMatch(/^Is the twin better\? No difference\./)
    expect(content.findings[2]).toMatch(/Not answered/)
    const table = content.tables.find(({ title }) => title === 'What was asked')!
    expect(table.rows.map(({ verdict }) => verdict)).toEqual(['better', 'no difference'])
    const [change, low, high] = table.rows[0]!.cells as number[]
    expect(low!).toBeLessThan(change!)
    expect(high!).toBeGreaterThan(change!)
  })

  it('gives mean and deviation over the seeds', () => {
    const table = content.tables.find(({ title }) => title === 'Methods over seeds')!
    const own = better.map(({ row }) => numberOf(row.evaluation!.perplexity))
    const mean = own.reduce((a, b) => a + b) / 3
    const deviation = Math.sqrt(own.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 2)
    expect(table.rows[0]!.cells.slice(0, 3)).toEqual([
      3,
      expect.closeTo(mean, 10),
      expect.closeTo(deviation, 10),
    ])
  })

  it('without questions compares with the run that has no teacher', () => {
    const { tables } = reportContent('Runs', all, library)
    const table = tables.find(({ title }) => title === 'Differences to plain')!
    expect(table.rows).toHaveLength(2)
  })

  it('holds the sections that are chosen, and differences to the run that is', () => {
    const options = { baseline: better[1]!.row.id, sections: ['differences', 'settings'] as const }
    const some = reportContent('Some', all, library, {
      options: { ...options, sections: [...options.sections] },
    })
    expect(some.tables.map(({ title }) => title)).toEqual(['Differences to better'])
    expect(some.comparison.baseline).toBe(options.baseline)
    const html = htmlReport(some)
    expect([...html.matchAll(/<h2>([^<]+)/g)].map(([, title]) => title)).toEqual([
      'Differences to better',
      'Settings that differ',
    ])
    expect(() => reportContent('t', all, library, { options: { baseline: 'nobody' } })).toThrow(
      /^baseline: "nobody" is none of the runs; expected one of better, seed 1/,
    )
  })

  it('as CSV is one table, from which every number comes back', () => {
    const lines = csvReport(content).trimEnd().split('\n')
    expect(lines[0]).toBe('table,row,column,unit,value')
    const numbers = content.tables.flatMap(({ rows }) => rows.flatMap(({ cells }) => cells))
    const values = lines.slice(1).filter((line) => !line.includes(',verdict,'))
    expect(values.map((line) => line.split(',').at(-1))).toEqual(
      numbers.filter((value) => value !== null).map(String),
    )
  })

  it('is written in every format, the paper’s figures marked as of other data', () => {
    const html = htmlReport(content)
    for (const { columns, rows } of content.tables) {
      for (const { cells } of rows) expect(cells).toHaveLength(columns.length)
    }
    expect(html).toContain('Reliability: better')
    for (const text of [html, markdownReport(content), csvReport(content), latexReport(content)]) {
      expect(text).toContain('paper, other data')
    }
    expect(JSON.parse(jsonReport(content)).findings).toEqual(content.findings)
  })

  it('holds nothing that a spreadsheet or a Markdown viewer would act on', () => {
    const names = ['=1+1', '@SUM(A1)', '-cmd|x', '<img src=x onerror=alert(1)>', '[a](javascript:alert(1))']
    const hostile = reportContent(
      names[3]!,
      names.map((name) => run(name, 1, 2.9)),
      library,
    )
    const cells = csvReport(hostile).split(/[\n,]/)
    expect(cells.filter((cell) => /^"?[=+@-]/.test(cell) && !Number.isFinite(Number(cell)))).toEqual([])
    expect(csvLine(['-0.5', '=1+1', '+1-555', '1e-3'])).toBe("-0.5,'=1+1,'+1-555,1e-3")
    expect(markdownReport(hostile)).not.toMatch(/(?<!\\)<img|(?<!\\)\[a/)
  })

  it('draws a thing alike in every diagram, in whatever place it comes', () => {
    const withTeachers = (name: string, ids: string[]): ReportedRun => {
      const one = run(name, 1, 2.9, ids)
      const [student] = one.detail!.calibration
      const teachers = ids.map((id) => ({ id, name: id, createdAt: now })) as RunConfig['teachers']
      const calibration = [student!, ...ids.map((model) => ({ ...student!, model }))]
      return { ...one, config: { ...one.config, teachers }, detail: { ...one.detail!, calibration } }
    }
    const runs = [withTeachers('first', ['a', 'b']), withTeachers('second', ['b', 'a']), run('alone', 1, 3)]
    const html = htmlReport(reportContent('Runs', runs, library))
    const legend = [...html.matchAll(/stroke="(#\w+)" stroke-dasharray="([^"]*)"\/><\/svg>([^<]+)<\/span>/g)]
    const drawn = (name: string) =>
      legend.filter((match) => match[3] === name).map(([, ...how]) => how.slice(0, 2).join())
    for (const name of ['a', 'b']) {
      expect(drawn(name)).toHaveLength(2)
      expect(new Set(drawn(name)).size).toBe(1)
    }
    expect(new Set(drawn('calibrated'))).toEqual(new Set(['#8a8a8a,2 4']))
    expect(new Set([...drawn('a'), ...drawn('b'), ...drawn('calibrated')]).size).toBe(3)
  })
})
