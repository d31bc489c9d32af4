import { describe, expect, it } from 'vitest'
import {
  numberOf,
  experiment,
  parse,
  SCHEMA_VERSION,
  type EvaluationRecord,
  type HeldOutDocument,
  type RunConfig,
} from '#contract'
import { createRandom } from '../../files'
import { compareRuns, gatherMethods, judge } from '../comparison'
import { describeRun } from '../../store'
import { methodOf } from '../experiments'
import { reportContent } from './assemble'
import type { ReportedRun } from './content'
import { htmlReport } from './html'
import { sayVerdict } from './methods'
import { csvLine, csvReport, jsonReport, latexReport, markdownReport } from './plain'

const now = '2026-01-01T00:00:00.000Z'
const digest = '0'.repeat(64)
const corpus = {
  id: 'plays',
  name: 'plays',
  format: 'text' as const,
  source: 'here',
  bytes: 1,
  documents: 1,
  heldOutDocuments: 1,
  digest,
  sample: '',
  createdAt: now,
}
const tokenizer = {
  id: 'tok',
  name: 'tok',
  kind: 'bpe' as const,
  vocab: 300,
  digest,
  lossless: true,
  createdAt: now,
}

/** A completed run whose documents cost about `nll` nats per token. */
function run(name: string, seed: number, nll: number, teachers: string[] = []): ReportedRun {
  const definition = parse(experiment, {
    name: `${name}, seed ${seed}`,
    corpus: 'plays',
    tokenizer: 'tok',
    student: { width: 16, layers: 1, heads: 2 },
    teachers,
    seed,
  })
  const random = createRandom(seed, name)
  const documents: HeldOutDocument[] = Array.from({ length: 30 }, (_, document) => {
    const hard = 0.5 * createRandom(document, 'difficulty').normal()
    const tokens = 100
    return {
      corpus: 'plays',
      document,
      tokens,
      bytes: 200,
      nll: tokens * (nll + hard + 0.02 * random.normal()),
    }
  })
  const crossEntropy = documents.reduce((sum, d) => sum + numberOf(d.nll) / d.tokens, 0) / documents.length
  const perplexity = Math.exp(crossEntropy)
  const bitsPerByte = crossEntropy / 2 / Math.LN2
  const score = { corpus: 'plays', tokens: 3000, bytes: 6000, crossEntropy, perplexity, bitsPerByte }
  const evaluation: EvaluationRecord = {
    split: 'held-out',
    step: 400,
    crossEntropy,
    perplexity,
    bitsPerByte,
    corpora: [score],
    ece: 0.05,
    brier: 0.8,
    seconds: 1,
  }
  const config: RunConfig = {
    schemaVersion: SCHEMA_VERSION,
    id: `${name}-${seed}`.replaceAll(' ', '-'),
    name: definition.name,
    kind: 'student',
    method: methodOf(definition),
    experiment: definition,
    corpora: [{ weight: 1, row: corpus }],
    tokenizer,
    teachers: [],
    student: {
      ...definition.student,
      vocab: 300,
      ropeBase: 10000,
      normEpsilon: 1e-5,
    } as RunConfig['student'],
    createdAt: now,
  }
  delete (config.student as Record<string, unknown>)['init']
  const bins = [
    { count: 10, confidence: 0.2, accuracy: 0.25 },
    { count: 10, confidence: 0.8, accuracy: 0.7 },
  ]
  const calibration = [{ model: 'student', accuracy: 0.4, ece: 0.05, brier: 0.8, bins }]
  const row = {
    ...describeRun(config),
    teachers: teachers.map((id) => ({ id, name: id })),
    status: 'completed' as const,
    step: 400,
    evaluation,
  }
  return {
    row,
    config,
    steps: [],
    speed: undefined,
    evaluations: [evaluation],
    documents,
    detail: { step: 400, calibration, continuations: [] },
  }
}

const seeds = [1, 2, 3]
const better = seeds.map((seed) => run('better', seed, 2.9, ['a']))
const plain = seeds.map((seed) => run('plain', seed, 3))
const twin = seeds.map((seed) => run('twin', seed, 3.0001, ['b']))
const library = { teachers: [], scores: [] }
const all = [...better, ...plain, ...twin]

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
    expect(table.rows.map(({ head }) => head.split(': ')[1])).toEqual(['better', 'no difference'])
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
    expect(lines).toHaveLength(1 + numbers.filter((value) => value !== null).length)
    expect(lines.slice(1).map((line) => line.split(',').at(-1))).toEqual(
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
