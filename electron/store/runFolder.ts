import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import {
  checkpointFolder,
  environment,
  evaluationDetail,
  heldOutDocument,
  isEvaluation,
  loggedEvent,
  parse,
  parseMetricsLine,
  runConfig,
  runFiles,
  teacherOutputs,
  writing,
  type Checkpoint,
  type Environment,
  type EvaluationDetail,
  type EvaluationRecord,
  type HeldOutDocument,
  type LoggedEvent,
  type RetortError,
  type RunConfig,
  type StepRecord,
  type TeacherOutputs,
  type Writing,
} from '#contract'
import {
  listCheckpoints,
  livesStill,
  noteProcess,
  readJson,
  readJsonLines,
  writeJsonAtomic,
  writeSmall,
} from '../files'
import { paths } from './dataDirectory'
import { ofAnother } from './folders'

/** Hears of what cannot be read. */
type Damaged = (problem: RetortError) => void

/** What a run's folder says. Its worker is the only one that writes there; this reads. */
export class RunFolder {
  readonly path: string

  constructor(
    dataDir: string,
    private readonly id: string,
  ) {
    this.path = paths.run(dataDir, id)
  }

  get exists(): boolean {
    return existsSync(join(this.path, runFiles.config))
  }

  /** @throws bad-input when it cannot be read, or is another run's: the folder was copied or renamed */
  config(): RunConfig | undefined {
    const config = this.read(runFiles.config, runConfig)
    if (config && config.id !== this.id) throw ofAnother(config.id, join(this.path, runFiles.config), this.id)
    return config
  }

  environment(): Environment | undefined {
    return this.read(runFiles.environment, environment)
  }

  /**
   * All records; a torn last line is left out.
   *
   * @param damaged hears of lines that are none, which are then left out; without it the first is refused
   */
  metrics(damaged?: Damaged): { steps: StepRecord[]; evaluations: EvaluationRecord[]; torn: boolean } {
    const { records, torn } = this.readLines(runFiles.metrics, parseMetricsLine, damaged)
    const steps: StepRecord[] = []
    const evaluations: EvaluationRecord[] = []
    for (const line of records) {
      if (isEvaluation(line)) evaluations.push(line)
      else steps.push(line)
    }
    return { steps, evaluations, torn }
  }

  /** What the evaluation at the last step left beside its record; empty for runs that never came to it. */
  lastEvaluation(): { documents: HeldOutDocument[]; detail?: EvaluationDetail } {
    const { records: documents } = this.readLines(runFiles.heldOut, (value, where) =>
      parse(heldOutDocument, value, where),
    )
    return { documents, detail: this.read(runFiles.detail, evaluationDetail) }
  }

  /** @param damaged as for `metrics` */
  log(damaged?: Damaged): LoggedEvent[] {
    const parseEvent = (value: unknown, where: string) => parse(loggedEvent, value, where)
    return this.readLines(runFiles.events, parseEvent, damaged).records
  }

  /** What its student wrote and was told, in the order of the steps. */
  writings(): Writing[] {
    return this.readLines(runFiles.writings, (value, where) => parse(writing, value, where)).records
  }

  /** What the outputs of its teachers cost a run that a cluster computes; empty for others. */
  teacherOutputs(): TeacherOutputs[] {
    return this.read(runFiles.teacherOutputs, z.array(teacherOutputs)) ?? []
  }

  noteTeacherOutputs(outputs: readonly TeacherOutputs[]): void {
    writeJsonAtomic(join(this.path, runFiles.teacherOutputs), outputs)
  }

  /**
   * Oldest first.
   *
   * @param damaged hears of those whose description cannot be read, which are then left out; without it the first is
   *   refused
   */
  checkpoints(damaged?: Damaged): Checkpoint[] {
    return listCheckpoints(join(this.path, runFiles.checkpoints), damaged)
  }

  /** The checkpoint with the lowest held-out cross-entropy, or the last when none was evaluated. */
  bestCheckpoint(): { row: Checkpoint; path: string } | undefined {
    const rows = this.checkpoints()
    const last = rows.at(-1)
    if (!last) return undefined
    const row = rows.find(({ step }) => step === last.best?.step) ?? last
    return { row, path: join(this.path, runFiles.checkpoints, checkpointFolder(row.step)) }
  }

  /** Checkpoints whose readings of held-out documents are kept here, by their digests. */
  readings(): string[] {
    const folder = join(this.path, runFiles.disagreement)
    return existsSync(folder) ? readdirSync(folder) : []
  }

  /** Notes which process writes here, so that a later one can wait for its end. */
  noteWriter(pid: number): void {
    writeSmall(join(this.path, WRITER), noteProcess(pid))
  }

  /** Whether the process that wrote here last is still alive: a host may die a moment before its worker. */
  hasLiveWriter(): boolean {
    const file = join(this.path, WRITER)
    return existsSync(file) && livesStill(readFileSync(file, 'utf8'))
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  private readLines<T>(name: string, parse: (value: unknown, where: string) => T, damaged?: Damaged) {
    return readJsonLines(join(this.path, name), { parse, damaged })
  }

  private read<S extends Parameters<typeof parse>[0]>(name: string, schema: S) {
    const file = join(this.path, name)
    if (!existsSync(file)) return undefined
    return parse(schema, readJson(file), file)
  }
}

const WRITER = 'worker.pid'
