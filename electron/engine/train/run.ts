import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  checkpointsAt,
  evaluatesAt,
  failed,
  isNumber,
  memoryWords,
  parse,
  runConfig,
  runFiles,
  tellsOutOfMemory,
  toErrorShape,
  type Alarm,
  type Measured,
  type RunConfig,
  type StoredLora,
  type TeacherOutputs,
} from '#contract'
import { isDiskFull, writeJsonAtomic } from '../../files'
import type { BatchPlan } from '../data/batchPlan'
import { describeEnvironment } from '../environment'
import { peakMemoryMb } from '../heap'
import { createTables, type Tables } from '../model/forward'
import { toTensors } from '../model/weights'
import { BoundReached } from '../teachers/served/client'
import { watchFrom, type Watch } from './alarms'
import { shortOfMemory } from './alarms/shortOfMemory'
import { readTeachers } from './alarms/teacherFigures'
import { announce, tellTeachers } from './announce'
import { keepBase } from './base'
import { keptAt, pruneCheckpoints, removeStale, writeCheckpoint } from './checkpoint'
import type { Control } from './control'
import { keepEarlier } from './earlier'
import { completeEvaluation } from './lastEvaluation'
import { openRun, type OpenedRun, type RunJob, type RunResult } from './openRun'
import { rest } from './rest'
import { RunLog, type Emit } from './runLog'
import { TrainingStep } from './step'
import { Student } from './student'
import { ThreadingWords } from './threadingWords'

/**
 * Trains one run in its folder, from the start or from its last checkpoint. Batches are a pure function of
 * (seed, step) and a checkpoint holds the whole state, so a resumed run computes what an undisturbed one would have.
 */
export async function trainRun(job: RunJob, control: Control, emit: Emit): Promise<RunResult> {
  const run = new Training(await openRun(job, emit), control, emit)
  try {
    await run.work()
    return await run.finish()
  } catch (thrown) {
    throw run.failed(thrown)
  } finally {
    await run.close()
  }
}

/** A run that has begun: it writes in its folder. */
class Training {
  private readonly config: RunConfig
  private readonly log: RunLog
  private readonly watch: Watch
  private readonly student: Student
  private readonly tables: Tables
  private readonly training: TrainingStep
  private readonly tokensPerStep: number
  /** Steps done, and the one of the last checkpoint. */
  private at: number
  private saved: number
  /** Of training, pauses left out. */
  private seconds: number
  private best: { step: number; crossEntropy: number } | undefined
  /** Held out, at this step. */
  private crossEntropy: Measured | undefined
  private readonly threading = new ThreadingWords()
  /** Why it stopped by itself. */
  private reason: string | undefined
  /** How the checkpoints' adapters are merged, of a run that trains them alone. */
  private lora: StoredLora | undefined
  private batch: ReturnType<BatchPlan['at']>
  private readonly tell = (own: TeacherOutputs[]) => tellTeachers(this.emit, this.opened, own)

  constructor(
    private readonly opened: OpenedRun,
    private readonly control: Control,
    private readonly emit: Emit,
  ) {
    const { config, folder, earlier, initial, last, outputs, foreign } = opened
    this.config = config
    const { train, continue: continued } = config.experiment
    this.begin()
    this.log = new RunLog(folder, last?.row.step ?? -1, emit)
    this.watch = watchFrom(config, folder)
    announce(this.log, opened)
    this.student = new Student(config, last?.state, initial.weights)
    this.tables = createTables(config.student, train.context)
    const retained = earlier && continued?.retention ? toTensors(earlier.weights) : undefined
    this.training = new TrainingStep(config, this.student, this.tables, outputs.sources, retained, foreign)
    this.tokensPerStep = train.batch * train.context
    const { step = 0, seconds = 0, best } = last?.row ?? {}
    this.at = this.saved = step
    this.seconds = seconds
    this.best = best
    this.batch = opened.plan.at(step + 1)
  }

  /** What the run is computed from and with goes into its folder. */
  private begin(): void {
    const { dataDir, folder, checkpoints, config, earlier, backend, last } = this.opened
    mkdirSync(checkpoints, { recursive: true })
    if (last) removeStale(checkpoints, last.row.step)
    writeJsonAtomic(join(folder, runFiles.config), parse(runConfig, config))
    if (earlier) keepEarlier(dataDir, config, earlier)
    const environment = describeEnvironment(backend)
    writeJsonAtomic(join(folder, runFiles.environment), environment)
    this.emit({ type: 'environment', environment })
  }

  /** What comes before a step: the teachers' outputs, and a look at the teachers and at a continued student. */
  private async prepare(): Promise<void> {
    const { outputs, foreign, calibration, earlier, end, plan } = this.opened
    const { emit, control } = this
    this.lora = await keepBase(this.opened.folder, this.config, this.opened.initial.weights)
    outputs.warnInto((message) => this.log.warn(this.at, message))
    const { tell } = this
    if ((outputs.sources.length || foreign.length) && this.at < end) {
      await outputs.fill({
        proceed: () => this.mayGoOn(),
        progress: (phase, fraction) => emit({ type: 'progress', phase, fraction }),
        tell,
      })
      tell(outputs.outputs())
    }
    if (calibration.length && this.at === 0 && !control.stopRequested)
      this.raise(
        this.watch.teachers(await readTeachers(this.config, calibration, outputs.sources, plan.weights)),
      )
    // What a continued student is worth before its new teachers say a word.
    if (earlier && this.at === 0 && !control.stopRequested) await this.evaluate()
  }

  /** Comes to its end, to where it is told to stop, or, before its last step, to what it may ask of a server. */
  async work(): Promise<void> {
    try {
      await this.prepare()
      while (await this.proceeds()) await this.step()
    } catch (error) {
      if (!(error instanceof BoundReached) || this.at === this.config.experiment.train.steps) throw error
      this.reason = error.message
    }
  }

  /** Whether there is another step to be done; waits out a pause. */
  private async proceeds(): Promise<boolean> {
    return this.at < this.opened.end && (await this.mayGoOn())
  }

  private async step(): Promise<void> {
    const { experiment } = this.config
    const started = performance.now()
    const next = this.at + 1
    const { studentText, outputs } = this.opened
    const { student, tables } = this
    const own = await studentText?.batch(next, this.batch, student)
    const told = await studentText?.telling(own!.told, { student, tables, teachers: outputs.sources })
    const [{ writtenLoss, ...metrics }, batch] = await Promise.all([
      this.training.run(next, own?.batch ?? this.batch),
      this.batchOf(next + 1),
    ])
    this.batch = batch
    const elapsed = (performance.now() - started) / 1000
    this.at = next
    this.seconds += elapsed
    const { seconds, tokensPerStep } = this
    const record = {
      ...metrics,
      ...own?.figures(writtenLoss),
      tokens: next * tokensPerStep,
      seconds,
      tokensPerSecond: tokensPerStep / elapsed,
    }
    this.log.step(record)
    for (const writing of told ?? []) this.log.writing(writing)
    if (record.lossScale && !isNumber(record.gradNorm))
      this.note(`gradients overflow at a loss scale of ${record.lossScale}: no update, half of it next`)
    const word = this.threading.word(this.student.optimizer.threading, elapsed)
    if (word) this.note(word)
    this.raise(this.watch.step(record))

    this.crossEntropy = undefined
    if (evaluatesAt(experiment, next)) {
      const crossEntropy = (this.crossEntropy = await this.evaluate())
      if (isNumber(crossEntropy) && (!this.best || crossEntropy < this.best.crossEntropy))
        this.best = { step: next, crossEntropy }
    }
    if (checkpointsAt(experiment, next) || this.best?.step === next) await this.checkpoint()
  }

  /** Reads a batch while the step before it is on the runtime's threads: by the next turn of the loop it is. */
  private async batchOf(step: number): Promise<ReturnType<BatchPlan['at']>> {
    await nextTurn()
    return this.opened.plan.at(step)
  }

  /** Resolves to the held-out cross-entropy. */
  private async evaluate(): Promise<Measured> {
    const { at, student } = this
    const { folder, heldOut, outputs, foreign } = this.opened
    await rest(this.config)
    let record = await heldOut.evaluate(at, student, outputs.sources, foreign)
    if (at === this.config.experiment.train.steps) {
      await rest(this.config)
      record = await completeEvaluation(folder, record, heldOut, student, outputs.sources)
    }
    await rest(this.config)
    this.log.evaluation(record)
    this.raise(this.watch.evaluation(record))
    return record.crossEntropy
  }

  private async checkpoint(): Promise<void> {
    const { at: step, tokensPerStep, seconds, crossEntropy, best } = this
    const { checkpoints, config } = this.opened
    const about = { step, tokens: step * tokensPerStep, seconds, crossEntropy, best }
    // A checkpoint must not be on the disk before the records that it goes on from.
    this.log.sync()
    const written = this.opened.studentText?.state
    const state = { ...(await this.student.state()), ...(written?.length && { written }) }
    const checkpoint = await writeCheckpoint(checkpoints, config.student, state, about, this.lora)
    pruneCheckpoints(checkpoints, config.experiment.checkpoint.keep, best?.step)
    this.saved = step
    this.log.event('checkpoint', step)
    this.emit({ type: 'checkpoint', checkpoint })
  }

  async finish(): Promise<RunResult> {
    const { at: step, reason } = this
    const status = step < this.config.experiment.train.steps ? 'stopped' : 'completed'
    if (this.saved < step) await this.checkpoint()
    this.tell(this.opened.outputs.outputs())
    const peakMb = peakMemoryMb()
    this.note(`peak memory ${Math.round(peakMb)} MB`)
    this.log.event(status, step, reason)
    return { status, step, peakMb, ...(reason && { reason }) }
  }

  /** Logs why the run ends before its time, and returns what is to be thrown. */
  failed(thrown: unknown): unknown {
    const { message } = toErrorShape(thrown)
    const memory = tellsOutOfMemory(message)
    const error = memory
      ? failed(`out of memory after step ${this.at}: ${memoryWords(message)}`, thrown)
      : thrown
    try {
      if (memory) this.raise(this.watch.fresh([shortOfMemory(this.config, this.at, message)]))
      this.log.event('failed', this.at, toErrorShape(error).message)
    } catch (unwritten) {
      // Whoever started the run hears of it; there is no room to write it down.
      if (!isDiskFull(unwritten)) throw unwritten
    }
    return error
  }

  async close(): Promise<void> {
    await this.opened.outputs.close()
    await this.opened.plan.close()
    this.log.close()
  }

  /** @throws failed when one of them says that the run has diverged */
  private raise(alarms: readonly Alarm[]): void {
    const kept = keptAt(this.saved)
    const divergence = alarms.find(({ signature }) => signature === 'divergence')
    for (const alarm of alarms)
      this.log.alarm(alarm === divergence ? { ...alarm, advice: `${alarm.advice} ${kept}` } : alarm)
    if (!divergence) return
    throw failed(`the run diverged at step ${divergence.step}: ${divergence.message} ${kept}`)
  }

  /** Waits out a pause; false when the run is to stop. */
  private async mayGoOn(): Promise<boolean> {
    const { control, log, emit, at } = this
    if (control.pauseRequested) {
      log.event('paused', at)
      emit({ type: 'paused' })
      await control.resumed()
      if (!control.stopRequested) {
        log.event('continued', at)
        emit({ type: 'continued' })
      }
    }
    return !control.stopRequested
  }

  private note(message: string): void {
    this.log.event('log', this.at, message)
  }
}
