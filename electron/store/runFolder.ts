import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import {
  checkpoint,
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
  type Checkpoint,
  type Environment,
  type EvaluationDetail,
  type EvaluationRecord,
  type HeldOutDocument,
  type LoggedEvent,
  type RunConfig,
  type StepRecord,
  type TeacherOutputs,
} from '#contract'
import { readJson, readJsonLines, writeJsonAtomic } from '../files'
import { paths } from './dataDirectory'
import { isAlive } from './lock'

/** What a run's folder says. Its worker is the only one that writes there; this reads. */
export class RunFolder {
  readonly path: string

  constructor(dataDir: string, id: string) {
    this.path = paths.run(dataDir, id)
  }

  get exists(): boolean {
    return existsSync(join(this.path, runFiles.config))
  }

  config(): RunConfig | undefined {
    return this.read(runFiles.config, runConfig)
  }

  environment(): Environment | undefined {
    return this.read(runFiles.environment, environment)
  }

  /** All records; a torn last line is left out. */
  metrics(): { steps: StepRecord[]; evaluations: EvaluationRecord[]; torn: boolean } {
    const { records, torn } = this.readLines(runFiles.metrics, parseMetricsLine)
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

  log(): LoggedEvent[] {
    return this.readLines(runFiles.events, (value, where) => parse(loggedEvent, value, where)).records
  }

  /** What the outputs of its teachers cost a run that a cluster computes; empty for others. */
  teacherOutputs(): TeacherOutputs[] {
    return this.read(runFiles.teacherOutputs, z.array(teacherOutputs)) ?? []
  }

  noteTeacherOutputs(outputs: readonly TeacherOutputs[]): void {
    writeJsonAtomic(join(this.path, runFiles.teacherOutputs), outputs)
  }

  /** Oldest first. */
  checkpoints(): Checkpoint[] {
    const folder = join(this.path, runFiles.checkpoints)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((name) => /^step-\d+$/.test(name))
      .map((name) => this.read(join(runFiles.checkpoints, name, 'checkpoint.json'), checkpoint))
      .filter((row) => row !== undefined)
      .sort((a, b) => a.step - b.step)
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
    writeFileSync(join(this.path, WRITER), String(pid))
  }

  /** Whether the process that wrote here last is still alive: a host may die a moment before its worker. */
  hasLiveWriter(): boolean {
    const file = join(this.path, WRITER)
    return existsSync(file) && isAlive(Number(readFileSync(file, 'utf8')))
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  private readLines<T>(name: string, parse: (value: unknown, where: string) => T) {
    return readJsonLines(join(this.path, name), { parse })
  }

  private read<S extends Parameters<typeof parse>[0]>(name: string, schema: S) {
    const file = join(this.path, name)
    if (!existsSync(file)) return undefined
    return parse(schema, readJson(file), file)
  }
}

const WRITER = 'worker.pid'
