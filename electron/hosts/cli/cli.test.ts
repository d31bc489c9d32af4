/* eslint-disable max-lines -- one data directory is furnished for all of it */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServices } from '../../services'
import { builtWorkers, commandLine } from '../built'
import { killAt } from '../testing'

const root = resolve(import.meta.dirname, '../../..')
let folder: string
let dataDir: string

interface Finished {
  status: number | null
  stdout: string
  stderr: string
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the shapes differ by command
  json: any
}

/** The command line as a person runs it: a process of its own. */
function retort(...args: string[]): Finished {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [commandLine, ...args, '--data-dir', dataDir, '--json'],
    { cwd: root, encoding: 'utf8' },
  )
  const last = stdout.trim().split('\n').at(-1) ?? ''
  return { status, stdout, stderr, json: status === 0 && last ? JSON.parse(last) : undefined }
}

/** The JSON of a command that must succeed. */
function done(...args: string[]) {
  const { status, stderr, json } = retort(...args)
  expect(status, stderr).toBe(0)
  return json
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const TRAIN = 'train: { steps: 40, batch: 4, context: 24, learningRate: 0.003, warmup: 4 }'
const STUDENT = 'student: { width: 16, layers: 1, heads: 2, context: 24 }'
const EVALUATE = 'evaluate: { every: 10, tokens: 300 }\ncheckpoint: { every: 10, keep: 2 }'
const experiment = (name: string, more = '') =>
  `name: ${name}\ncorpus: recipes\n${STUDENT}\nteachers: [cook]\nloss: { tau: 2 }\n${TRAIN}\n${EVALUATE}\n${more}`

/** A run's metrics without the fields of the clock, the only ones that may differ. */
function metricsOf(id: string): unknown[] {
  const lines = readFileSync(join(dataDir, 'runs', id, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => {
    const { seconds: _s, tokensPerSecond: _t, ...rest } = JSON.parse(line) as Record<string, unknown>
    return rest
  })
}

/** Every file below the data directory with its digest, caches apart. */
function contents(): string[] {
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true })
  return files
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('cache'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`)
    .sort()
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  dataDir = join(folder, 'data')
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 60_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 320 })
  await services.close()
  const spec = file(
    'cook.yaml',
    `name: cook\ncorpus: recipes\ntokenizer: bpe\nmodel: { width: 24, layers: 2, heads: 2, context: 24 }\n${TRAIN}\n${EVALUATE}\nseed: 3\n`,
  )
  expect(done('train-teacher', spec).metrics.perplexity).toBeGreaterThan(1)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a run', () => {
  it('gives the same metrics, bit for bit, for the same seed, and others for another', () => {
    const yaml = file('twice.yaml', experiment('twice'))
    const [one, two] = [done('run', yaml), done('run', yaml)]
    expect(one).toMatchObject({ status: 'completed', step: 40 })
    expect(two.id).not.toBe(one.id)
    expect(metricsOf(two.id)).toEqual(metricsOf(one.id))
    const other = done('run', yaml, '--set', 'seed=2')
    expect(metricsOf(other.id)).not.toEqual(metricsOf(one.id))
  })

  it('killed with -9 in the middle and resumed gives the metrics of an undisturbed one, bit for bit', async () => {
    const yaml = file('killed.yaml', experiment('killed'))
    const undisturbed = done('run', yaml, '--set', 'name=undisturbed')
    for (const at of [7, 13, 25]) {
      const id = await killAt(start(yaml, `killed-${at}`), dataDir, `killed-${at}`, at)
      const seen = metricsOf(id).length
      expect(seen).toBeGreaterThanOrEqual(at)
      const resumed = done('run', '--resume', id)
      expect(resumed).toMatchObject({ id, status: 'completed', step: 40 })
      expect(metricsOf(id)).toEqual(metricsOf(undisturbed.id))
    }
  })

  /** The command that starts a run of 40 steps, in a process of its own. */
  function start(yaml: string, name: string) {
    const args = [commandLine, 'run', yaml, '--set', `name=${name}`, '--set', 'train.steps=40']
    return spawn(process.execPath, [...args, '--data-dir', dataDir], { cwd: root, stdio: 'ignore' })
  }

  it('finds the same of its teachers with and without the cache of their outputs', () => {
    const details = ['off', 'exact', 'states'].map((mode) => {
      const path = file(`${mode}.yaml`, experiment(`cache-${mode}`, `cache: { mode: ${mode} }`))
      const { id } = done('run', path)
      return JSON.parse(readFileSync(join(dataDir, 'runs', id, 'evaluation.json'), 'utf8'))
    })
    const scores = (detail: { calibration: { ece: number; brier: number }[] }) =>
      detail.calibration.map(({ ece, brier }) => [expect.closeTo(ece, 4), expect.closeTo(brier, 4)])
    const [off, ...others] = details
    expect(off.calibration).toHaveLength(2)
    for (const cached of others)
      expect(
        cached.calibration.map(({ ece, brier }: { ece: number; brier: number }) => [ece, brier]),
      ).toEqual(scores(off))
  })

  it('is compared, reported, scored, exported and made to write', () => {
    const distilled = done('run', file('distilled.yaml', experiment('distilled'))).id as string
    const plain = done(
      'run',
      file('plain.yaml', experiment('plain')),
      '--set',
      'teachers=[]',
      '--set',
      'tokenizer=bpe',
    ).id as string
    const compared = done('compare', distilled, plain)
    expect(compared.rows.map((row: { run: string }) => row.run)).toEqual([distilled, plain])
    expect(compared.configDiff.map((d: { path: string }) => d.path)).toContain('teachers')

    // The format is what the file's ending says.
    const csv = join(folder, 'report.csv')
    done('report', distilled, plain, '--out', csv)
    expect(readFileSync(csv, 'utf8')).toMatch(/^[^<\n]+,[^<\n]+\n/)
    const html = join(folder, 'report.html')
    expect(done('report', distilled, plain, '--format', 'html', '--out', html).bytes).toBe(
      statSync(html).size,
    )
    const text = readFileSync(html, 'utf8')
    expect(text).toContain('distilled')
    expect(text).not.toMatch(/<script|src="http|href="http/)

    const scored = file('text.txt', 'Chop two cups of onion and fry the onion gently.')
    const score = done('evaluate', distilled, '--text', scored)
    expect(score.perplexity).toBeCloseTo(Math.exp(score.crossEntropy), 6)
    expect(score.bitsPerByte).toBeCloseTo(
      (score.crossEntropy * score.tokens) / Math.LN2 / statSync(scored).size,
      6,
    )
    // The scores by document are the run's cross-entropy, taken apart.
    const documents = readFileSync(join(dataDir, 'runs', distilled, 'heldout.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { tokens: number; nll: number })
    const sum = (key: 'tokens' | 'nll') => documents.reduce((total, d) => total + d[key], 0)
    const last = metricsOf(distilled).at(-1) as Record<string, number>
    expect(sum('nll') / sum('tokens')).toBeCloseTo(last['crossEntropy']!, 5)
    expect(last['ece']).toBeGreaterThanOrEqual(0)

    const task = file('task.jsonl', '{"prompt":"Chop the","target":"onion","choices":["onion","zzzz"]}\n')
    const held = done('evaluate', distilled, '--corpus', 'recipes', '--tasks', `text-to-text=${task}`)
    expect(held.perplexity).toBeGreaterThan(1)
    expect(held).toMatchObject({ context: 24, stride: 12, tasks: { 'text-to-text': { examples: 1 } } })
    expect(held.bleu).toBeGreaterThanOrEqual(0)

    const written = done('generate', distilled, '--prompt', 'Chop', '--tokens', '12')
    expect(done('generate', distilled, '--prompt', 'Chop', '--tokens', '12').text).toBe(written.text)
    const out = join(folder, 'exported')
    expect(retort('export', distilled, '--format', 'hf', '--out', out).status).toBe(0)
    expect(readdirSync(out).sort()).toEqual([
      'README.md',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    // What was exported comes back as a teacher that writes the same.
    expect(retort('import', 'teacher', out, '--name', 'again').status).toBe(0)
    expect(done('generate', 'again', '--prompt', 'Chop', '--tokens', '12').text).toBe(written.text)
  })
})

describe('bad input gets one line, exit status 2, and nothing is written', () => {
  const cases: [string, () => string[], RegExp][] = [
    [
      'a misspelt key',
      () => ['run', file('a.yaml', experiment('a', 'sed: 4'))],
      /a\.yaml: sed: unknown key; expected "seed"/,
    ],
    [
      'a misspelt key inside',
      () => ['run', file('b.yaml', experiment('b').replace('batch:', 'bacth:'))],
      /b\.yaml: train\.bacth: unknown key; expected "batch"/,
    ],
    ['YAML that is none', () => ['run', file('c.yaml', 'name: [x')], /c\.yaml: line 1/],
    [
      'a file that is not there',
      () => ['run', join(folder, 'nowhere.yaml')],
      /nowhere\.yaml: there is no such file/,
    ],
    [
      'a teacher that is not there',
      () => ['run', file('d.yaml', experiment('d').replace('[cook]', '[kook]'))],
      /teachers\.0: .*did you mean "cook"/,
    ],
    [
      'a corpus shorter than one context',
      () => ['run', file('e.yaml', experiment('e').replace('recipes', 'short'))],
      /corpus: the training split of corpus "short" has \d+ tokens; expected more than one context of 24/,
    ],
    [
      'features of a teacher of another vocabulary',
      () => ['run', file('f.yaml', experiment('f', 'tokenizer: other')), '--set', 'corpus=recipes'],
      /f\.yaml: loss\.features: teacher "cook" has another tokenizer than the student: .*; expected false/,
    ],
    [
      'text that is not UTF-8',
      () => ['import', 'corpus', file('latin1.txt', Uint8Array.of(72, 228, 116, 10))],
      /latin1\.txt: the text is not UTF-8/,
    ],
    [
      'an empty corpus',
      () => ['import', 'corpus', file('empty.txt', '\n\n')],
      /empty\.txt: the corpus is empty/,
    ],
    [
      'a damaged .gz',
      () => ['import', 'corpus', file('cut.json.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0))],
      /cut\.json\.gz: the compressed data is damaged/,
    ],
    [
      'a line without the field',
      () => ['import', 'corpus', file('x.jsonl', '{"text":"a"}\n{"body":"b"}\n')],
      /x\.jsonl:2: text: the record cannot be read: it has no text in "text" \(it has body\)/,
    ],
    [
      'a checkpoint that is cut off',
      () => ['import', 'teacher', file('cut.bin', new Uint8Array(100))],
      /cut\.bin/,
    ],
    [
      'a tokenizer that is there already',
      () => ['train-tokenizer', '--corpus', 'recipes', '--vocab', '300', '--name', 'bpe'],
      /name: there is already a tokenizer named "bpe"/,
    ],
    [
      'a vocabulary without room for the bytes',
      () => ['train-tokenizer', '--corpus', 'recipes', '--vocab', '256'],
      /expected a whole number from 257 to 262144/,
    ],
    [
      'a name that is taken',
      () => ['import', 'corpus', file('t.txt', 'text'), '--name', 'recipes'],
      /name: there is already a corpus named "recipes"/,
    ],
    [
      'an option of no meaning',
      () => ['generate', 'cook', '--prompt', 'a', '--tokens', 'many'],
      /expected a whole number/,
    ],
    [
      'a run that needs more memory than there is',
      () => ['run', file('m.yaml', experiment('m')), '--set', 'train.batch=262144'],
      /: train\.accumulate: the run needs about \d+ MB of memory, \d+ MB can be had; expected train\.accumulate: \d+ \(the same batch in micro-batches of \d+\), about \d+ MB/,
    ],
    [
      'a grid of which one cell needs more memory than there is',
      () => [
        'grid',
        file(
          'gm.yaml',
          `name: gm\nbase:\n  ${experiment('gm').trim().replaceAll('\n', '\n  ')}\naxes: { train.batch: [2, 262144] }\n`,
        ),
      ],
      /gm\.yaml: base: train\.accumulate: the cell "gm: batch=262144, seed=1" needs about .*; expected train\.accumulate: \d+/,
    ],
    [
      'a grid whose axis is misspelt',
      () => [
        'grid',
        file(
          'g.yaml',
          `name: g\nbase:\n  ${experiment('g').trim().replaceAll('\n', '\n  ')}\naxes: { loss.tua: [1] }\n`,
        ),
      ],
      /g\.yaml: axes\.loss\.tua: .*"tau"/,
    ],
  ]

  beforeAll(async () => {
    expect(retort('import', 'corpus', file('short.txt', 'A few words.\nOther words.\n')).status).toBe(0)
    const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
    await services.rooms.library.trainTokenizer({ name: 'other', corpora: ['recipes'], vocab: 300 })
    await services.close()
  })

  it.each(cases)('%s', (_name, args, message) => {
    const before = contents()
    const { status, stderr, stdout } = retort(...args())
    expect(stderr).toMatch(message)
    expect(
      stderr
        .trim()
        .split('\n')
        .filter((line) => !/^[█░]/.test(line)),
    ).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
    expect(contents()).toEqual(before)
  })

  it('a line for each thing that is wrong: names that the library does not have beside what does not parse', () => {
    const before = contents()
    const text = experiment('many', 'sed: 4').replace('[cook]', '[kook]').replace('recipes', 'recipe')
    const { status, stderr } = retort('run', file('many.yaml', text), '--set', 'loss.lambda=2')
    const lines = stderr.trim().split('\n')
    for (const message of [
      /many\.yaml: sed: unknown key; expected "seed"$/,
      /many\.yaml: loss\.lambda: is too big; expected at most 1$/,
      /many\.yaml: teachers\.0: .*did you mean "cook"/,
      /many\.yaml: corpus: .*did you mean "recipes"/,
    ])
      expect(lines.filter((line) => message.test(line))).toHaveLength(1)
    expect(lines).toHaveLength(4)
    expect(status).toBe(2)
    expect(contents()).toEqual(before)
  })

  it('a checkpoint that was cut off is passed over by name; where none is whole the run is refused', () => {
    const { id } = done('run', file('g.yaml', experiment('g'))) as { id: string }
    const checkpoints = join(dataDir, 'runs', id, 'checkpoints')
    const folders = readdirSync(checkpoints).sort()
    expect(folders.length).toBeGreaterThan(1)
    const cut = (folder: string) => truncateSync(join(checkpoints, folder, 'model.safetensors'), 1000)
    // As if it had been stopped: the only way to resume a completed run is that it has steps left.
    const stop = () => {
      const catalogue = join(dataDir, 'catalogue.json')
      const rows = JSON.parse(readFileSync(catalogue, 'utf8')) as { runs: { id: string; status: string }[] }
      rows.runs.find((run) => run.id === id)!.status = 'stopped'
      writeFileSync(catalogue, JSON.stringify(rows))
    }
    const metrics = metricsOf(id)
    cut(folders.at(-1)!)
    stop()
    expect(retort('run', '--resume', id).status).toBe(0)
    expect(metricsOf(id)).toEqual(metrics)
    expect(readFileSync(join(dataDir, 'runs', id, 'events.jsonl'), 'utf8')).toMatch(
      /step-000040 is passed over: .*model\.safetensors: the content is not what the checkpoint recorded/,
    )

    readdirSync(checkpoints).forEach(cut)
    stop()
    const { status, stderr } = retort('run', '--resume', id)
    expect(stderr).toMatch(
      /none of its checkpoints .*step-000040.*model\.safetensors: the content is not what/,
    )
    expect(status).toBe(2)
    expect(metricsOf(id)).toEqual(metrics)
  })
})
