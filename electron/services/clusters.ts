import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parse, submission, type ClusterJob, type Run, type RunConfig, type Submission } from '#contract'
import { batchScript, cancel, findJob, Login, submit, taskStates, Transfer, type TaskState } from '../cluster'
import { writeJsonAtomic } from '../files'
import { paths, rowOf, RunFolder } from '../store'
import { ClusterProfiles } from './clusterProfiles'
import type { Context } from './context'
import { newId } from './identity'

/** What Slurm is told a task's end is, when nobody had to do with it but a person. */
const CANCELLED = 'CANCELLED'

/**
 * Runs computed by Slurm: submits them, follows them, collects them. Nothing here has to stay alive meanwhile: a
 * submission is a file, its tasks work on run folders, and the next start of the app collects what they did.
 */
export class ClusterService {
  readonly profiles: ClusterProfiles
  /** Submissions not yet collected whole, by id. */
  private readonly open = new Map<string, Submission>()
  /** Tasks seen ended once: a shared file system may show the folder's last lines a moment later. */
  private readonly seenEnded = new Set<string>()
  private timer: NodeJS.Timeout | undefined
  private round: Promise<void> = Promise.resolve()
  private closed = false

  /** @param scope `all`: what an earlier life of the app has submitted is followed at once; `own`: when asked to */
  constructor(
    private readonly context: Context,
    scope: 'all' | 'own',
  ) {
    this.profiles = new ClusterProfiles(context.dataDir)
    for (const row of this.stored()) if (row.runs.length > row.collected.length) this.open.set(row.id, row)
    if (scope === 'all') this.follow()
  }

  /**
   * Hands runs to a cluster. They are its from now on: their rows say so, and the local queue leaves them alone.
   *
   * @param runs ids of queued runs whose folders are written; those of an open submission are left out
   * @throws not-found when there is no such profile
   */
  submit(cluster: string, group: string, runs: readonly string[]): void {
    const profile = this.profiles.get(cluster)
    const taken = new Set(
      [...this.open.values()].flatMap((row) => row.runs.filter((run) => !row.collected.includes(run))),
    )
    const free = runs.filter((run) => !taken.has(run))
    if (free.length) {
      const row: Submission = {
        id: newId('array'),
        group,
        profile,
        runs: free,
        collected: [],
        submittedAt: new Date().toISOString(),
      }
      mkdirSync(this.folder(row.id), { recursive: true })
      this.write(row)
      this.open.set(row.id, row)
    }
    this.follow()
  }

  /** Asks Slurm to end the tasks of runs: those at work make a checkpoint, and all end `stopped`. */
  async stop(runs: readonly string[]): Promise<void> {
    // Not while an array is on its way to Slurm.
    await this.round
    for (const row of [...this.open.values()]) {
      const own = this.waiting(row).filter((run) => runs.includes(run))
      if (row.job === undefined) {
        for (const run of own) this.end(row, run, { status: 'stopped', reason: 'taken out of the queue' })
      } else if (own.length) {
        const tasks = own.map((run) => row.runs.indexOf(run))
        await cancel(new Login(row.profile), row.job, tasks)
      }
    }
    this.follow()
  }

  /** The latest task of every run that a grid has handed to a cluster. */
  jobs(group: string): ClusterJob[] {
    const latest = new Map<string, ClusterJob>()
    const rows = this.stored().filter((row) => row.group === group)
    for (const row of rows.sort((a, b) => a.submittedAt.localeCompare(b.submittedAt))) {
      for (const [task, run] of row.runs.entries()) {
        latest.set(run, {
          run,
          cluster: row.profile.name,
          job: row.job && `${row.job}_${task}`,
          ended: row.collected.includes(run),
          submittedAt: row.submittedAt,
        })
      }
    }
    return [...latest.values()]
  }

  /** Begins to ask Slurm, or asks it now. */
  follow(): void {
    clearTimeout(this.timer)
    if (this.closed || !this.open.size) return
    this.timer = setTimeout(() => {
      this.round = this.refresh().finally(() => {
        if (this.closed || !this.open.size) return
        clearTimeout(this.timer)
        const seconds = Math.min(...[...this.open.values()].map(({ profile }) => profile.poll))
        this.timer = setTimeout(() => this.follow(), seconds * 1000)
      })
    }, 0)
  }

  /** Stops following; the cluster goes on. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.timer)
    await this.round
  }

  private async refresh(): Promise<void> {
    for (const row of [...this.open.values()]) {
      try {
        await this.advance(row)
      } catch (error) {
        // Slurm or the way to it is down for now: the rows say so and it is asked again.
        for (const run of this.waiting(row)) this.change(run, { reason: (error as Error).message })
      }
      if (this.closed) return
    }
  }

  private async advance(row: Submission): Promise<void> {
    const login = new Login(row.profile)
    if (row.job === undefined && !(await this.send(row, login))) return
    const states = await taskStates(login, row.job!)
    const moved = this.waiting(row).filter((run) => states.get(row.runs.indexOf(run))?.state !== 'pending')
    const transfer = new Transfer(login, row.profile, this.context.dataDir)
    await transfer.pull([
      ...moved.map((run) => `runs/${run}`),
      ...(moved.length ? [`submissions/${row.id}`] : []),
    ])
    for (const run of this.waiting(row)) this.update(row, run, states.get(row.runs.indexOf(run)))
  }

  /** Submits a job array, unless a life of the app that ended right then has. False: Slurm will not have it. */
  private async send(row: Submission, login: Login): Promise<boolean> {
    const { profile, runs } = row
    const name = `retort-${row.id}`
    let job = await findJob(login, name)
    if (job === undefined) {
      const transfer = new Transfer(login, profile, this.context.dataDir)
      await transfer.push([`submissions/${row.id}`, ...this.needs(runs)])
      const folder = posix.join(profile.dataDir, 'submissions', row.id)
      const answer = await submit(login, profile, runs.length, name, batchScript(profile, runs, folder))
      if ('refused' in answer) {
        for (const run of this.waiting(row)) this.end(row, run, { status: 'failed', reason: answer.refused })
        return false
      }
      job = answer.job
    }
    row.job = job
    this.write(row)
    for (const run of this.waiting(row)) this.change(run, { reason: undefined })
    return true
  }

  /** Folders below the data directory that tasks read or go on from. */
  private needs(runs: readonly string[]): string[] {
    const folders = new Set<string>()
    for (const run of runs) {
      folders.add(`runs/${run}`)
      const {
        corpora,
        tokenizer,
        teachers: own,
        foreign = [],
      } = new RunFolder(this.context.dataDir, run).config()!
      const teachers = [...own, ...foreign.map(({ row }) => row)]
      for (const { row } of corpora) folders.add(`library/corpora/${row.id}`)
      for (const { id } of teachers) folders.add(`library/teachers/${id}`)
      for (const id of [tokenizer.id, ...teachers.map((teacher) => teacher.tokenizer)])
        folders.add(`library/tokenizers/${id}`)
    }
    return [...folders]
  }

  /** A row as its folder and Slurm say; the folder is the truth, Slurm knows only who is at work. */
  private update(row: Submission, id: string, task: TaskState | undefined): void {
    const folder = new RunFolder(this.context.dataDir, id)
    const config = folder.config()
    const run = this.context.catalogue.data.runs.find((other) => other.id === id)
    if (!run || !config) return this.collected(row, id)
    const { status, reason, ...measured } = rowOf(config, folder)
    this.tellSteps(run, folder, config)
    const state = task?.state ?? 'ended'
    if (status === 'completed') return this.end(row, id, { ...measured, status, reason: undefined })
    if (state !== 'ended') {
      this.seenEnded.delete(id)
      return this.change(id, {
        ...measured,
        endedAt: undefined,
        status: state === 'pending' ? 'queued' : 'running',
        reason: task?.reason,
      })
    }
    if (!this.seenEnded.delete(id)) {
      this.seenEnded.add(id)
      return
    }
    if (task?.word.startsWith(CANCELLED) || (status === 'stopped' && !task)) {
      return this.end(row, id, { ...measured, status: 'stopped', reason: 'cancelled on the cluster' })
    }
    const said = status === 'failed' && reason ? reason : this.lastWords(row, id)
    this.end(row, id, { ...measured, status: 'failed', reason: describeEnd(task, said) })
  }

  private tellSteps(run: Run, folder: RunFolder, config: RunConfig): void {
    if (run.step >= config.experiment.train.steps) return
    const { steps, evaluations } = folder.metrics()
    const records = steps.filter(({ step }) => step > run.step)
    const { pushes } = this.context
    if (records.length) pushes.push({ topic: 'steps', id: run.id, records })
    for (const record of evaluations) {
      if (record.step > (run.evaluation?.step ?? 0)) pushes.push({ topic: 'evaluation', id: run.id, record })
    }
  }

  /** What a task printed last before its exit status. */
  private lastWords({ id, runs }: Submission, run: string): string | undefined {
    const file = join(this.folder(id), `${runs.indexOf(run)}.log`)
    if (!existsSync(file)) return undefined
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    return lines.findLast((line) => line.trim() && !/^(exit status \d+$|task \d+_|Node\.js v|\s)/.test(line))
  }

  private end(row: Submission, run: string, change: Partial<Run>): void {
    this.collected(row, run)
    this.change(run, { endedAt: new Date().toISOString(), ...change, cluster: undefined })
  }

  private collected(row: Submission, run: string): void {
    row.collected.push(run)
    this.write(row)
    if (row.collected.length === row.runs.length) this.open.delete(row.id)
  }

  private waiting({ runs, collected }: Submission): string[] {
    return runs.filter((run) => !collected.includes(run))
  }

  private change(id: string, change: Partial<Run>): void {
    const { catalogue, pushes } = this.context
    const row = catalogue.data.runs.find((run) => run.id === id)
    if (!row || Object.entries(change).every(([key, value]) => same(row[key as keyof Run], value))) return
    catalogue.update(() => Object.assign(row, change))
    pushes.push({ topic: 'run', run: { ...row } })
  }

  private stored(): Submission[] {
    const folder = paths.submissions(this.context.dataDir)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .map((id) => this.file(id))
      .filter((file) => existsSync(file))
      .map((file) => parse(submission, JSON.parse(readFileSync(file, 'utf8')), file))
  }

  private write(row: Submission): void {
    writeJsonAtomic(this.file(row.id), row)
  }

  private folder(id: string): string {
    return join(paths.submissions(this.context.dataDir), id)
  }

  private file(id: string): string {
    return join(this.folder(id), 'submission.json')
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function describeEnd(task: TaskState | undefined, said: string | undefined): string {
  const how = task && !['COMPLETED', 'FAILED'].includes(task.word) ? `Slurm says ${task.word}` : undefined
  return [how, said].filter(Boolean).join('; ') || 'its task on the cluster ended without a word'
}
