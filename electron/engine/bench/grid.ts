import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  experiment,
  parameterCount,
  parse,
  SCHEMA_VERSION,
  type GridBench,
  type Job,
  type RunConfig,
  type Teacher,
} from '#contract'
import type { StoredMode } from '../../files'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/llama'
import { initialise, toTensors } from '../model/weights'
import type { Progress } from '../progress'
import { createRandom } from '../random'
import { CachedTeacher } from '../teachers/cache/cached'
import type { TeacherSource } from '../teachers/source'
import { TrainingStep } from '../train/step'
import { Student } from '../train/student'
import { median, models } from './models'
import { configurations } from './reference'

const TEACHERS = 5
const CELLS = 12
const CODING = { k: 32, samples: 64 }
const modes = ['exact', 'top-k', 'sample'] as const
/** Steps of one kind in a row; the first of them is not timed: it finishes what the kind before has begun. */
const PIECE = 4

/**
 * A grid of 12 cells with 5 teachers on the same batches. Timed a batch: a teacher's pass with and without the writing,
 * a step that reads its targets from the cache, and the same step with the teachers' outputs given in memory, which is
 * what the student costs alone. All in turns, so that a slow moment of the machine falls on each of them.
 */
export async function benchGrid(
  job: Extract<Job, { kind: 'bench' }>,
  progress: Progress,
): Promise<GridBench> {
  const backend = await startBackend(job.backend, { threads: job.threads })
  const dataDir = mkdtempSync(join(tmpdir(), 'retort-bench-'))
  try {
    const bench = new Bench(job, dataDir)
    const passes = await bench.passes(progress)
    const { ms, lossGap } = await bench.steps(progress)
    const alone = TEACHERS * passes.alone + CELLS * ms.given
    const cost = (mode: StoredMode) => (TEACHERS * passes[mode] + CELLS * ms[mode]) / alone
    return {
      part: 'grid',
      config: job.config,
      teachers: TEACHERS,
      cells: CELLS,
      batches: bench.count,
      parameters: parameterCount(models[job.config]),
      msPerPass: passes,
      msPerStep: ms,
      ratio: { exact: cost('exact'), 'top-k': cost('top-k'), sample: cost('sample') },
      ratioWithoutCache: (CELLS * (TEACHERS * passes.alone + ms.given)) / alone,
      lossGap,
      backend: backend.kind,
      threads: backend.threads,
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

class Bench {
  readonly count: number
  private readonly config: RunConfig
  private readonly live: TeacherSource[]
  private readonly cached: Record<StoredMode, CachedTeacher[]>

  constructor(
    { config, steps }: Extract<Job, { kind: 'bench' }>,
    private readonly dataDir: string,
  ) {
    this.count = Math.ceil(steps / PIECE) * PIECE
    this.config = configOf(config, this.count)
    this.live = this.config.teachers.map((row, k) =>
      liveTeacher(row, k, this.config.experiment.train.context),
    )
    const of = (mode: StoredMode) => this.config.teachers.map((row, k) => this.cache(row, k, mode))
    this.cached = { exact: of('exact'), 'top-k': of('top-k'), sample: of('sample') }
  }

  /** Milliseconds a batch and teacher: without the writing, and kept in each of the modes. */
  async passes(progress: Progress): Promise<GridBench['msPerPass']> {
    const alone: number[] = []
    const kept: Record<StoredMode, number[]> = { exact: [], 'top-k': [], sample: [] }
    const always = async () => true
    for (const [k, teacher] of this.live.entries()) {
      progress(`pass of teacher ${k + 1}`, (0.5 * k) / TEACHERS)
      for (let batch = 0; batch < this.count; batch++) {
        const started = performance.now()
        const tokens = this.tokens(batch)
        const mean = tf.tidy(() => tf.mean(teacher.signal(tokens).logits))
        await mean.data()
        tf.dispose([mean, tokens])
        if (batch) alone.push(performance.now() - started)
      }
      for (const mode of modes) {
        const source = this.cached[mode][k]!
        await source.fill(always, () => {})
        kept[mode].push((source.seconds * 1000) / this.count)
      }
    }
    return { alone: median(alone), ...mapModes((mode) => median(kept[mode])) }
  }

  /** Milliseconds a step of each kind, and how far losses with the exact cache are from those with live teachers. */
  async steps(progress: Progress): Promise<{ ms: GridBench['msPerStep']; lossGap: GridBench['lossGap'] }> {
    const given = this.live.map((teacher, k) => givenTeacher(teacher, k, this.tokens(0)))
    const sources: Record<string, readonly TeacherSource[]> = {
      ...this.cached,
      given,
      live: this.live,
      none: [],
    }
    const kinds = Object.entries(sources).map(([kind, teachers]) => {
      const config = kind === 'none' ? withoutTeachers(this.config) : this.config
      const student = new Student(config)
      const tables = createTables(config.student, config.experiment.train.context)
      const times: number[] = []
      const losses: number[] = []
      return { kind, step: new TrainingStep(config, student, tables, teachers), times, losses }
    })
    for (let from = 0; from < this.count; from += PIECE) {
      for (const { kind, step, times, losses } of kinds) {
        progress(`steps: ${kind}`, 0.5 + (0.5 * from) / this.count)
        for (let i = from; i < from + PIECE; i++) {
          const started = performance.now()
          // As a run does it, the next batch is read while the step is at work.
          const [metrics] = await Promise.all([step.run(i + 1, batchAt(this.config, i)), nextTurn()])
          if (i > from) times.push(performance.now() - started)
          losses.push(metrics.loss!)
        }
      }
    }
    const of = (kind: string) => kinds.find((one) => one.kind === kind)!
    const live = of('live').losses
    const lossGap = mapModes((mode) =>
      Math.max(...of(mode).losses.map((loss, i) => Math.abs(loss - live[i]!))),
    )
    const time = (kind: string) => median(of(kind).times)
    const ms = { given: time('given'), live: time('live'), none: time('none'), ...mapModes(time) }
    return { ms, lossGap }
  }

  private tokens(batch: number): tf.Tensor2D {
    const { batch: sequences, context } = this.config.experiment.train
    return tf.tensor2d(batchAt(this.config, batch).inputs, [sequences, context], 'int32')
  }

  private cache(row: Teacher, k: number, mode: StoredMode): CachedTeacher {
    const { batch, context } = this.config.experiment.train
    const split = {
      key: `${mode}-${row.id}`,
      corpora: ['bench'],
      count: this.count,
      at: (i: number) => batchAt(this.config, i),
      coding: { mode, vocab: row.model.vocab, ...CODING },
      layers: [],
      sharedLayers: [],
    }
    return new CachedTeacher({
      dataDir: this.dataDir,
      row,
      reader: 'bench',
      splits: new Map([['train', split]]),
      tokens: batch * context,
      context,
      tau: 1,
      openLive: async () => liveTeacher(row, k, context),
      warn: () => {},
    })
  }
}

function mapModes(of: (mode: StoredMode) => number): Record<StoredMode, number> {
  return { exact: of('exact'), 'top-k': of('top-k'), sample: of('sample') }
}

/** Five teachers of the configuration's width, entropy weights, no features. */
function configOf(name: keyof typeof models, steps: number): RunConfig {
  const student = models[name]
  const { batch, time, teacherWidth } = configurations[name]
  const hidden = Math.round((student.hidden * teacherWidth) / student.width)
  const heads = teacherWidth / 32
  const model = { ...student, width: teacherWidth, hidden, heads, kvHeads: heads }
  const createdAt = new Date(0).toISOString()
  const digest = '0'.repeat(64)
  const teachers = Array.from({ length: TEACHERS }, (_, k) => ({
    id: `teacher-${k}`,
    name: `teacher ${k}`,
    source: 'trained' as const,
    tokenizer: 'bench',
    model,
    parameters: parameterCount(model),
    digest,
    perplexity: {},
    calibrations: [],
    createdAt,
  }))
  const definition = {
    name: 'bench',
    corpus: 'bench',
    student: { width: student.width, layers: student.layers, heads: student.heads, context: student.context },
    teachers: teachers.map((row) => row.name),
    train: { steps, batch, context: time, warmup: 1 },
    loss: { features: false },
  }
  return {
    schemaVersion: SCHEMA_VERSION,
    id: 'bench',
    name: 'bench',
    kind: 'student',
    method: 'entropy',
    experiment: parse(experiment, definition),
    corpora: [],
    tokenizer: {
      id: 'bench',
      name: 'bench',
      kind: 'bpe',
      vocab: model.vocab,
      digest,
      lossless: true,
      createdAt,
    },
    teachers,
    student,
    createdAt,
  }
}

function withoutTeachers(config: RunConfig): RunConfig {
  return { ...config, experiment: { ...config.experiment, teachers: [] }, teachers: [] }
}

function batchAt({ experiment: { train }, student }: RunConfig, batch: number) {
  const random = createRandom(batch, 'bench/grid')
  const draw = () =>
    Int32Array.from({ length: train.batch * train.context }, () => random.integer(student.vocab))
  return { inputs: draw(), targets: draw() }
}

function liveTeacher(row: Teacher, k: number, context: number): TeacherSource {
  const parameters = toTensors(initialise(row.model, 100 + k))
  const tables = createTables(row.model, context)
  return {
    row,
    signal: (tokens, options) => forward(row.model, parameters, tokens, tables, options),
    dispose() {
      tf.dispose([...parameters.values()])
      tables.dispose()
    },
  }
}

/** A teacher whose outputs cost nothing: those on one batch, kept in memory, whatever it is asked. */
function givenTeacher(live: TeacherSource, k: number, tokens: tf.Tensor2D): TeacherSource {
  const logits = tf.keep(tf.tidy(() => live.signal(tokens).logits))
  return { row: live.row, signal: () => ({ logits, hidden: [] }), dispose: () => logits.dispose() }
}
