import { setImmediate as nextTurn } from 'node:timers/promises'
import { numberOf, parameterCount, type GridBench, type RunConfig, type Teacher } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables } from '../model/forward'
import type { Progress } from '../progress'
import { createRandom } from '../random'
import type { TokenIds } from '../teachers/cache/answers'
import { CachedTeacher } from '../teachers/cache/cached'
import { Disk } from '../teachers/cache/disk'
import type { TeacherSource } from '../teachers/source'
import { TrainingStep } from '../train/step'
import { Student } from '../train/student'
import type { SizedJob } from './job'
import { benchConfig, liveTeacher } from './config'
import { models } from './models'
import { configurations } from './reference'
import { makeScratchFolder } from './scratchFolder'
import { medians, PassInTurns, quartiles, rotated, type Times } from './turns'

const TEACHERS = 5
const CELLS = 12
const CODING = { k: 32, samples: 64 }
const modes = ['exact', 'top-k', 'sample'] as const
type Mode = (typeof modes)[number]
/** Steps of each kind that are not timed: graphs are compiled, memory is taken for the first time. */
const WARM_UP = 2
/** Batches of a pass in a row. The first of them is not timed: the kind before is still writing. */
const PIECE = 6

/**
 * A grid of 12 cells with 5 teachers on the same batches. Timed a batch: a teacher's pass with and without the writing,
 * a step that reads its targets from the cache, and the same step with the teachers' outputs given in memory, which is
 * what the student costs alone. Each kind has its turn after the other, and another one begins each round, so that a
 * slow moment of the machine falls on all of them.
 */
export async function benchGrid(job: SizedJob, progress: Progress): Promise<GridBench> {
  const backend = await startBackend(job.backend, { threads: job.threads })
  const { folder, remove } = makeScratchFolder()
  const bench = new Bench(job, folder)
  try {
    const passes = await bench.passes(progress)
    const { times, lossGap } = await bench.steps(progress)
    const [msPerPass, msPerStep] = [medians(passes), medians(times)]
    const alone = TEACHERS * msPerPass.alone + CELLS * msPerStep.given
    const cost = (mode: Mode) => (TEACHERS * msPerPass[mode] + CELLS * msPerStep[mode]) / alone
    return {
      part: 'grid',
      config: job.config,
      teachers: TEACHERS,
      cells: CELLS,
      batches: bench.count,
      parameters: parameterCount(models[job.config]),
      msPerPass,
      msPerStep,
      spread: { msPerPass: quartiles(passes), msPerStep: quartiles(times) },
      ratio: { exact: cost('exact'), 'top-k': cost('top-k'), sample: cost('sample') },
      ratioWithoutCache: (CELLS * (TEACHERS * msPerPass.alone + msPerStep.given)) / alone,
      lossGap,
      backend: backend.kind,
      threads: backend.threads,
    }
  } finally {
    await bench.close()
    remove()
  }
}

type PassKind = keyof GridBench['msPerPass']
type StepKind = keyof GridBench['msPerStep']

class Bench {
  readonly count: number
  private readonly config: RunConfig
  /** Drawn beforehand: a run's batches are cut from its text, which takes less. */
  private readonly batches: TokenIds[]
  private readonly disk = new Disk()
  private readonly live: TeacherSource[]
  private readonly cached: Record<Mode, CachedTeacher[]>

  constructor(
    { config, steps }: SizedJob,
    private readonly dataDir: string,
  ) {
    this.count = Math.ceil((WARM_UP + steps) / PIECE) * PIECE
    this.config = configOf(config, this.count)
    this.batches = Array.from({ length: this.count }, (_, i) => drawBatch(this.config, i))
    this.live = this.config.teachers.map((row, k) =>
      liveTeacher(row, k, this.config.experiment.train.context),
    )
    const of = (mode: Mode) => this.config.teachers.map((row, k) => this.cache(row, k, mode))
    this.cached = { exact: of('exact'), 'top-k': of('top-k'), sample: of('sample') }
  }

  close(): Promise<void> {
    return this.disk.close()
  }

  /** A batch of a teacher's: without the writing, and kept in each of the modes. */
  async passes(progress: Progress): Promise<Times<PassKind>> {
    const times: Times<PassKind> = { alone: [], exact: [], 'top-k': [], sample: [] }
    for (const [k, teacher] of this.live.entries()) {
      const passes = modes.map((mode) => new PassInTurns(this.cached[mode][k]!, times[mode]))
      const turns = [undefined, ...passes]
      for (let from = 0; from < this.count; from += PIECE) {
        progress(`pass of teacher ${k + 1}`, (0.5 * (k + from / this.count)) / TEACHERS)
        for (const pass of rotated(turns, k + from / PIECE))
          await (pass ? pass.turn(PIECE) : this.ask(teacher, from, times.alone))
      }
    }
    return times
  }

  /** A step of each kind, and how far losses with the cache are from those with live teachers. */
  async steps(progress: Progress): Promise<{ times: Times<StepKind>; lossGap: GridBench['lossGap'] }> {
    const given = this.live.map((teacher, k) => givenTeacher(teacher, this.tokens(k)))
    const kinds = {
      given: this.student(given),
      exact: this.student(this.cached.exact),
      'top-k': this.student(this.cached['top-k']),
      sample: this.student(this.cached.sample),
      live: this.student(this.live),
      none: this.student([]),
    }
    const times: Times<StepKind> = { given: [], exact: [], 'top-k': [], sample: [], live: [], none: [] }
    const lossGap = { exact: 0, 'top-k': 0, sample: 0 }
    for (let i = 0; i < this.count; i++) {
      progress('steps', 0.5 + (0.5 * i) / this.count)
      const losses = {} as Record<StepKind, number>
      for (const [kind, step] of rotated(Object.entries(kinds) as [StepKind, TrainingStep][], i)) {
        const started = performance.now()
        // As a run does it, the next batch is read while the step is at work.
        const [metrics] = await Promise.all([step.run(i + 1, this.batches[i]!), nextTurn()])
        if (i >= WARM_UP) times[kind].push(performance.now() - started)
        losses[kind] = numberOf(metrics.loss)
      }
      for (const mode of modes) lossGap[mode] = Math.max(lossGap[mode], Math.abs(losses[mode] - losses.live))
    }
    return { times, lossGap }
  }

  private async ask(teacher: TeacherSource, from: number, times: number[]): Promise<void> {
    for (let batch = from; batch < from + PIECE; batch++) {
      const started = performance.now()
      const tokens = this.tokens(batch)
      const mean = tf.tidy(() => tf.mean(teacher.signal(tokens).logits))
      await mean.data()
      tf.dispose([mean, tokens])
      if (batch > from) times.push(performance.now() - started)
    }
  }

  private student(teachers: readonly TeacherSource[]): TrainingStep {
    const config = teachers.length ? this.config : withoutTeachers(this.config)
    const tables = createTables(config.student, config.experiment.train.context)
    return new TrainingStep(config, new Student(config), tables, teachers)
  }

  private tokens(batch: number): tf.Tensor2D {
    const { batch: sequences, context } = this.config.experiment.train
    return tf.tensor2d(this.batches[batch]!.inputs, [sequences, context], 'int32')
  }

  private cache(row: Teacher, k: number, mode: Mode): CachedTeacher {
    const { batch, context } = this.config.experiment.train
    const split = {
      key: `${mode}-${row.id}`,
      corpora: ['bench'],
      count: this.count,
      at: (i: number) => this.batches[i]!,
      coding: { mode, vocab: row.model.vocab, ...CODING },
      layers: [],
      sharedLayers: [],
    }
    return new CachedTeacher({
      dataDir: this.dataDir,
      row,
      reader: 'bench',
      splits: new Map([['train', split]]),
      disk: this.disk,
      tokens: batch * context,
      context,
      tau: 1,
      openLive: async () => ({ ...this.live[k]!, dispose: () => {} }),
      warn: () => {},
    })
  }
}

/** Five teachers of the configuration's width, entropy weights, no features. */
function configOf(name: keyof typeof models, steps: number): RunConfig {
  const student = models[name]
  const { batch, time, teacherWidth } = configurations[name]
  const hidden = Math.round((student.hidden * teacherWidth) / student.width)
  const heads = teacherWidth / 32
  const model = { ...student, width: teacherWidth, hidden, heads, kvHeads: heads }
  const teachers = Array.from({ length: TEACHERS }, () => model)
  const train = { steps, batch, context: time, warmup: 1 }
  return benchConfig(student, teachers, { train, loss: { features: false } })
}

function withoutTeachers(config: RunConfig): RunConfig {
  return { ...config, experiment: { ...config.experiment, teachers: [] }, teachers: [] }
}

function drawBatch({ experiment: { train }, student }: RunConfig, batch: number): TokenIds {
  const random = createRandom(batch, 'bench/grid')
  const draw = () =>
    Int32Array.from({ length: train.batch * train.context }, () => random.integer(student.vocab))
  return { inputs: draw(), targets: draw() }
}

/** A teacher whose outputs cost nothing: those on one batch, kept in memory, whatever it is asked. */
function givenTeacher(live: TeacherSource, tokens: tf.Tensor2D): TeacherSource {
  const logits = tf.keep(tf.tidy(() => live.signal(tokens).logits))
  return { row: live.row, signal: () => ({ logits, hidden: [] }), dispose: () => logits.dispose() }
}
