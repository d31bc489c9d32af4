import { join } from 'node:path'
import { badInput, namedUse, runFiles, type Job, type RunConfig } from '#contract'
import { checkHalf, checkInt8, startBackend, type BackendInfo } from '../backend'
import { loadTokenizer } from '../data/tokenizer'
import type { TextTokenizer } from '../data/textTokenizer'
import { threadsSoFar } from '../environment'
import { calibrateTeachers } from '../evaluate/calibrateModels'
import { openForeignTeachers, type ForeignTeacher } from '../teachers/foreign'
import { readBase } from './base'
import { readEarlier, type Earlier } from './earlier'
import { HeldOut } from './evaluation'
import { initialWeights, type Initial } from './initial'
import { openBatchPlan, type OpenedPlan } from './plan'
import { openTeachers, type TeachersRead } from './readings'
import { findResumePoint, type ResumePoint } from './resume'
import type { Emit } from './runLog'
import { StudentText } from './source/studentText'

export type RunJob = Extract<Job, { kind: 'run' }>

export interface RunResult {
  status: 'completed' | 'stopped'
  step: number
  /** Most resident memory that this process has had, in MiB. */
  peakMb: number
  /** Why it stopped, where nobody told it to. */
  reason?: string
}

/** All that a run reads, and what it goes on from. */
export interface OpenedRun extends TeachersRead {
  dataDir: string
  /** The run's own, and the one of its checkpoints. */
  folder: string
  checkpoints: string
  /** With the teachers' temperatures, where it needs them. */
  config: RunConfig
  /** The step to train to: the last one, or the one that was asked for. */
  end: number
  backend: BackendInfo
  plan: OpenedPlan
  /** Of a run whose student writes some of what it learns on. */
  studentText?: StudentText
  heldOut: HeldOut
  foreign: readonly ForeignTeacher[]
  /** The student that a continued run begins with. */
  earlier?: Earlier
  initial: Initial
  /** The checkpoint that the run goes on from; absent at its beginning. */
  last?: ResumePoint
}

/**
 * Opens everything that may be refused, before the run's first file is written.
 *
 * @throws bad-input, failed: whatever the run needs is not there, does not fit or has changed
 */
export async function openRun(job: RunJob, emit: Emit): Promise<OpenedRun> {
  const { dataDir } = job
  const { experiment } = job.config
  checkContext(job.config)
  const folder = join(dataDir, 'runs', job.config.id)
  const checkpoints = join(folder, runFiles.checkpoints)
  const last = job.resume ? await findResumePoint(folder, job.config) : undefined
  // Sums are split among threads: with another number of them it would not go on as it began.
  const threads = (last && threadsSoFar(join(folder, runFiles.environment))) ?? job.threads
  const own = experiment.backend === 'auto' ? job.backend : experiment.backend
  const backend = await startBackend(own, { threads })
  if (experiment.train.precision === 'f16') await checkHalf(backend.kind)
  if (experiment.teachers.some((use) => namedUse(use).precision === 'int8')) await checkInt8(backend.kind)

  const tokenizer = await loadTokenizer(dataDir, job.config.tokenizer)
  const plan = await openBatchPlan(dataDir, job.config, emit)
  const progress = (phase: string, fraction: number) => emit({ type: 'progress', phase, fraction })
  const kept = last?.state.written
  const studentText = StudentText.open(job.config, tokenizer, plan.tokens, kept)
  const config = await withTemperatures(job, tokenizer, plan.weights, emit)
  const heldOut = await HeldOut.open(dataDir, config, tokenizer)
  const earlier = await readEarlier(dataDir, config)
  const base = await readBase(folder, config, last?.row.step)
  const initial =
    earlier ?? (base ? { weights: base, note: 'its base' } : await initialWeights(dataDir, config))
  const teachers = await openTeachers(job, config, { tokenizer, plan, heldOut, first: !last }, emit)
  const foreign = await openForeignTeachers(dataDir, config, tokenizer, progress)
  const { steps } = experiment.train
  const end = Math.min(job.until ?? steps, steps)
  const read = { ...teachers, plan, studentText, heldOut, foreign, earlier, initial, last }
  return { dataDir, folder, checkpoints, config, end, backend, ...read }
}

function checkContext({ experiment, student }: RunConfig): void {
  if (experiment.train.context <= student.context) return
  throw badInput(`the student reads at most ${student.context} tokens`, {
    field: 'train.context',
    expected: `at most ${student.context}`,
  })
}

/** The configuration with its teachers' temperatures, where it needs them and has not been started with them. */
async function withTemperatures(
  { dataDir, config }: RunJob,
  tokenizer: TextTokenizer,
  drawn: readonly number[],
  emit: Emit,
): Promise<RunConfig> {
  const { strategy } = config.experiment.weighting
  if (strategy !== 'calibrated-entropy' || !config.teachers.length || config.temperatures) return config
  const temperatures = await calibrateTeachers(dataDir, config, tokenizer, drawn, (teacher, calibration) =>
    emit({ type: 'calibration', teacher, calibration }),
  )
  return { ...config, temperatures }
}
