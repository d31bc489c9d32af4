import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  badInput,
  checkpointFolder,
  failed,
  isEvaluation,
  memoryWords,
  outOfMemory,
  runFiles,
  tellsOutOfMemory,
  toErrorShape,
  type Alarm,
  type Job,
  type LoggedEvent,
  type MetricsLine,
  type RunConfig,
  type TeacherOutputs,
  type StepRecord,
} from '#contract'
import { readJsonLines, writeJsonAtomic } from '../../files'
import { checkHalf, startBackend } from '../backend'
import type { Threading } from '../backend/session'
import type { BatchPlan } from '../data/batchPlan'
import { loadTokenizer, type TextTokenizer } from '../data/tokenizer'
import { describeEnvironment, threadsSoFar } from '../environment'
import { peakMemoryMb } from '../heap'
import { calibrateTeachers } from '../evaluate/calibrateModels'
import { createTables } from '../model/llama'
import { describeForeign, foreignOutputs, openForeignTeachers } from '../teachers/foreign'
import { toTensors } from '../model/weights'
import { listCheckpoints, pruneCheckpoints, readCheckpoint, writeCheckpoint } from './checkpoint'
import type { Control } from './control'
import { Watch } from './alarms'
import { readTeachers } from './alarms/teacherFigures'
import { keepEarlier, readEarlier } from './earlier'
import { HeldOut } from './evaluation'
import { initialWeights } from './initial'
import { completeEvaluation } from './lastEvaluation'
import { openBatchPlan, openTeachers } from './readings'
import { RunLog, type Emit } from './runLog'
import { TrainingStep } from './step'
import { Student } from './student'

type RunJob = Extract<Job, { kind: 'run' }>

export interface RunResult {
  status: 'completed' | 'stopped'
  step: number
  /** Most resident memory that this process has had, in MiB. */
  peakMb: number
}

/**
 * Trains one run in its folder, from the start or from its last checkpoint. Batches are a pure function of
 * (seed, step) and a checkpoint holds the whole state, so a resumed run computes what an undisturbed one would have.
 */
export async function trainRun(job: RunJob, control: Control, emit: Emit): Promise<RunResult> {
  const { dataDir } = job
  const { experiment } = job.config
  checkContext(job.config)
  const own = experiment.backend === 'auto' ? job.backend : experiment.backend
  const folder = join(dataDir, 'runs', job.config.id)
  const checkpoints = join(folder, runFiles.checkpoints)
  const last = job.resume ? listCheckpoints(checkpoints).at(-1) : undefined
  // Sums are split among threads: with another number of them it would not go on as it began.
  const threads = (last && threadsSoFar(join(folder, runFiles.environment))) ?? job.threads
  const backend = await startBackend(own, { threads })
  if (experiment.train.precision === 'f16') await checkHalf(backend.kind)

  // Everything that may be refused is opened before the first file is written.
  const tokenizer = await loadTokenizer(dataDir, job.config.tokenizer)
  const plan = await openBatchPlan(dataDir, job.config, emit)
  const config = await withTemperatures(job, tokenizer, emit)
  const heldOut = await HeldOut.open(dataDir, config, tokenizer)
  const earlier = await readEarlier(dataDir, config)
  const initial = earlier ?? (await initialWeights(dataDir, config))
  const parts = { tokenizer, plan, heldOut, first: !last }
  const { outputs, calibration } = await openTeachers(job, config, parts, emit)
  const teachers = outputs.sources
  const foreign = await openForeignTeachers(dataDir, config, tokenizer, (phase, fraction) =>
    emit({ type: 'progress', phase, fraction }),
  )

  mkdirSync(checkpoints, { recursive: true })
  writeJsonAtomic(join(folder, runFiles.config), config)
  if (earlier) keepEarlier(dataDir, config, earlier)
  const environment = describeEnvironment(backend)
  writeJsonAtomic(join(folder, runFiles.environment), environment)
  emit({ type: 'environment', environment })

  const log = new RunLog(folder, last?.step ?? -1, emit)
  const watch = watchFrom(config, folder)
  log.event(last ? 'resumed' : 'started', last?.step ?? 0)
  if (!last && config.temperatures) {
    const fitted = config.teachers.map((row, k) => `${row.name} ${config.temperatures![k]!.toFixed(3)}`)
    log.event('log', 0, `temperatures: ${fitted.join(', ')}`)
  }
  if (!last) log.event('log', 0, `first weights: ${initial.note}`)
  if (!last) for (const teacher of foreign) log.event('log', 0, describeForeign(config, teacher))
  const student = new Student(config, last && (await readCheckpoint(checkpoints, last)), initial.weights)
  const tables = createTables(config.student, experiment.train.context)
  const retained = earlier && experiment.continue?.retention ? toTensors(earlier.weights) : undefined
  const step = new TrainingStep(config, student, tables, teachers, retained, foreign)

  const { steps, batch, context } = experiment.train
  const { every: evaluateEvery } = experiment.evaluate
  const { every: saveEvery, keep } = experiment.checkpoint
  const tokensPerStep = batch * context
  const end = Math.min(job.until ?? steps, steps)
  let at = last?.step ?? 0
  let seconds = last?.seconds ?? 0
  let best = last?.best
  let crossEntropy: number | null | undefined
  let saved = at
  let threading: Threading | undefined

  let batchOfStep = plan.at(at + 1)
  /** Reads the next batch while the step is on the runtime's threads: by the next turn of the loop it is. */
  async function batchAfter(step: number): Promise<ReturnType<BatchPlan['at']>> {
    await nextTurn()
    return plan.at(step + 1)
  }

  function raise(alarms: readonly Alarm[]): void {
    const divergence = alarms.find(({ signature }) => signature === 'divergence')
    for (const alarm of alarms)
      log.alarm(alarm === divergence ? { ...alarm, advice: `${alarm.advice} ${keptAt(saved)}` } : alarm)
    if (divergence) throw diverged(divergence, saved)
  }

  async function save(): Promise<void> {
    const about = { step: at, tokens: at * tokensPerStep, seconds, crossEntropy, best }
    const checkpoint = await writeCheckpoint(checkpoints, config.student, await student.state(), about)
    pruneCheckpoints(checkpoints, keep, best?.step)
    saved = at
    log.sync()
    log.event('checkpoint', at)
    emit({ type: 'checkpoint', checkpoint })
  }

  const tell = (own: TeacherOutputs[]) =>
    emit({ type: 'teacher-outputs', outputs: [...own, ...foreignOutputs(config, foreign)] })
  try {
    if ((teachers.length || foreign.length) && at < end) {
      await outputs.fill({
        proceed: async () => {
          await waitWhilePaused(control, log, emit, at)
          return !control.stopRequested
        },
        progress: (phase, fraction) => emit({ type: 'progress', phase, fraction }),
        tell,
      })
      tell(outputs.outputs())
    }
    if (calibration.length && at === 0 && !control.stopRequested)
      raise(watch.teachers(await readTeachers(config, calibration, teachers)))
    // What a continued student is worth before its new teachers say a word.
    if (earlier && at === 0 && !control.stopRequested) {
      const record = await heldOut.evaluate(0, student, teachers, foreign)
      log.evaluation(record)
      raise(watch.evaluation(record))
    }
    while (at < end) {
      await waitWhilePaused(control, log, emit, at)
      if (control.stopRequested) break
      const started = performance.now()
      const [metrics, following] = await Promise.all([step.run(at + 1, batchOfStep), batchAfter(at + 1)])
      batchOfStep = following
      const elapsed = (performance.now() - started) / 1000
      at++
      seconds += elapsed
      const tokensPerSecond = tokensPerStep / elapsed
      const record: StepRecord = { ...metrics, tokens: at * tokensPerStep, seconds, tokensPerSecond }
      log.step(record)
      if (record.lossScale && record.gradNorm === null)
        log.event(
          'log',
          at,
          `gradients overflow at a loss scale of ${record.lossScale}: no update, half of it next`,
        )
      const found = student.optimizer.threading
      if (found && found !== threading && elapsed > WORTH_A_WORD) {
        log.event('log', at, threadingWords[found])
        threading = found
      }
      raise(watch.step(record))

      crossEntropy = undefined
      if (at === steps || (evaluateEvery && at % evaluateEvery === 0)) {
        let record = await heldOut.evaluate(at, student, teachers, foreign)
        if (at === steps) record = await completeEvaluation(folder, record, heldOut, student, teachers)
        log.evaluation(record)
        raise(watch.evaluation(record))
        crossEntropy = record.crossEntropy
        if (crossEntropy !== null && (!best || crossEntropy < best.crossEntropy))
          best = { step: at, crossEntropy }
      }
      if (at === steps || (saveEvery && at % saveEvery === 0) || best?.step === at) await save()
    }
    const status = at < steps ? 'stopped' : 'completed'
    if (saved < at) await save()
    tell(outputs.outputs())
    const peakMb = peakMemoryMb()
    log.event('log', at, `peak memory ${Math.round(peakMb)} MB`)
    log.event(status, at)
    return { status, step: at, peakMb }
  } catch (thrown) {
    const { message } = toErrorShape(thrown)
    const memory = tellsOutOfMemory(message)
    const error = memory ? failed(`out of memory after step ${at}: ${memoryWords(message)}`, thrown) : thrown
    if (memory) raise(watch.fresh([shortOfMemory(config, at, message)]))
    log.event('failed', at, toErrorShape(error).message)
    throw error
  } finally {
    log.close()
    await outputs.close()
  }
}

/** Seconds of a step; of shorter ones nobody minds how they are done. */
const WORTH_A_WORD = 0.05

const threadingWords: Record<Threading, string> = {
  single:
    'another program keeps a core busy: on with one thread, which is faster meanwhile (the same results)',
  waiting: 'another program keeps a core busy: the threads sleep while they wait, which is faster meanwhile',
  spinning: 'the cores are free again: on as before',
}

/** The detectors, as they were after the last record of the log. */
function watchFrom(config: RunConfig, folder: string): Watch {
  const events = readJsonLines(join(folder, runFiles.events)).records as LoggedEvent[]
  const raised = events.flatMap(({ alarm }) => (alarm ? [alarm.signature] : []))
  const watch = new Watch(config, raised)
  for (const line of readJsonLines(join(folder, runFiles.metrics)).records as MetricsLine[]) {
    if (isEvaluation(line)) watch.evaluation(line)
    else watch.step(line)
  }
  return watch
}

/** The configuration with its teachers' temperatures, where it needs them and has not been started with them. */
async function withTemperatures(
  { dataDir, config }: RunJob,
  tokenizer: TextTokenizer,
  emit: Emit,
): Promise<RunConfig> {
  const { strategy } = config.experiment.weighting
  if (strategy !== 'calibrated-entropy' || !config.teachers.length || config.temperatures) return config
  const temperatures = await calibrateTeachers(dataDir, config, tokenizer, (teacher, calibration) =>
    emit({ type: 'calibration', teacher, calibration }),
  )
  return { ...config, temperatures }
}

function shortOfMemory(config: RunConfig, step: number, said: string): Alarm {
  const residentMb = Math.round(process.memoryUsage.rss() / 2 ** 20)
  const message = `After step ${step} the run could not get the memory it asked for: ${memoryWords(said)}`
  return outOfMemory(config, { step, message, evidence: { residentMb } })
}

function checkContext({ experiment, student }: RunConfig): void {
  if (experiment.train.context <= student.context) return
  throw badInput(`the student reads at most ${student.context} tokens`, {
    field: 'train.context',
    expected: `at most ${student.context}`,
  })
}

async function waitWhilePaused(control: Control, log: RunLog, emit: Emit, step: number): Promise<void> {
  if (!control.pauseRequested) return
  log.event('paused', step)
  emit({ type: 'paused' })
  await control.resumed()
  if (control.stopRequested) return
  log.event('continued', step)
  emit({ type: 'continued' })
}

function diverged({ step, message }: Alarm, saved: number): Error {
  return failed(`the run diverged at step ${step}: ${message} ${keptAt(saved)}`)
}

/** @param saved the step of the last checkpoint, 0 when there is none */
function keptAt(saved: number): string {
  return saved
    ? `The checkpoint of step ${saved} is kept (${checkpointFolder(saved)}).`
    : 'No checkpoint had been written.'
}
