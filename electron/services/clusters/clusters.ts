import { rowOfRun, type ClusterJob, type PassJob, type Run, type RunConfig, type Submission } from '#contract'
import { cancel, Login, taskStates, Transfer, type TaskState } from '../../cluster'
import { RunFolder } from '../../store'
import { distinctAlignments } from '../library'
import { ClusterProfiles } from './profiles'
import type { Context } from '../context'
import { newId } from '../identity'
import { isPreparing, passMakers, passState, type PlannedRun } from './passJobs'
import { sendArray } from './sendArray'
import { Submissions } from './submissions'
import { outcomeOf } from './taskEnd'

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
  private readonly submissions: Submissions
  /** Told of every change of the job that makes a grid's shared passes. */
  onPasses: (group: string, passes: PassJob) => void = () => {}

  /** @param scope `all`: what an earlier life of the app has submitted is followed at once; `own`: when asked to */
  constructor(
    private readonly context: Context,
    scope: 'all' | 'own',
  ) {
    this.profiles = new ClusterProfiles(context.dataDir)
    this.submissions = new Submissions(context.dataDir)
    for (const row of this.submissions.all())
      if (row.runs.length > row.collected.length) this.open.set(row.id, row)
    if (scope === 'all') this.follow()
  }

  /**
   * Hands runs to a cluster. They are its from now on: their rows say so, and the local queue leaves them alone.
   *
   * Passes of teachers that some of them share are made by a job that goes before, unless one of the grid has made them.
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
      const rows = this.context.catalogue.data.runs.filter(({ id }) => free.includes(id))
      const makers = passMakers(
        this.planned(rows),
        this.submissions
          .all()
          .filter((one) => one.group === group && one.profile.dataDir === profile.dataDir)
          .filter(({ passes }) => passes && ['completed', 'running', 'waiting'].includes(passes.state))
          .flatMap(({ passes, cells }) =>
            this.planned(passes!.runs.map((id) => ({ id, autoCache: cells[id]?.autoCache ?? 'off' }))),
          ),
      )
      const row: Submission = {
        id: newId('array'),
        group,
        profile,
        runs: free,
        collected: [],
        cells: Object.fromEntries(rows.map(({ id, autoCache, until }) => [id, { autoCache, until }])),
        sharedAlignments: distinctAlignments(rows.flatMap(({ sharedAlignments }) => sharedAlignments)),
        passes: makers.length ? { cluster, state: 'waiting', runs: makers } : undefined,
        submittedAt: new Date().toISOString(),
      }
      this.submissions.write(row)
      this.open.set(row.id, row)
      this.tellPasses(row)
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
      // Nobody is left to read what it makes.
      const left = this.waiting(row).filter((run) => !runs.includes(run))
      if (own.length && !left.length && isPreparing(row)) await this.cancelPasses(row)
    }
    this.follow()
  }

  /** The latest task of every run that a grid has handed to a cluster. */
  jobs(group: string): ClusterJob[] {
    const latest = new Map<string, ClusterJob>()
    for (const row of this.submissions.all().filter((one) => one.group === group)) {
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
      // One round after the other: two at once would collect a run twice.
      this.round = this.round
        .then(() => this.refresh())
        .then(() => {
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
        const { message: reason } = error as Error
        for (const run of this.waiting(row)) this.change(run, { reason })
        if (isPreparing(row)) this.changePasses(row, { reason })
      }
      if (this.closed) return
    }
  }

  private async advance(row: Submission): Promise<void> {
    const login = new Login(row.profile)
    if (row.job === undefined && !(await this.send(row, login))) return
    const { passes } = row
    const making = isPreparing(row) ? await taskStates(login, passes!.job!) : undefined
    const states = await taskStates(login, row.job!)
    const moved = new Set(
      this.waiting(row).filter((run) => states.get(row.runs.indexOf(run))?.state !== 'pending'),
    )
    // Those whose passes are made know what that costs.
    if (making) for (const run of passes!.runs) moved.add(run)
    const transfer = new Transfer(login, row.profile, this.context.dataDir)
    const folders = [...moved].map((run) => `runs/${run}`)
    await transfer.pull(folders.length ? [...folders, `submissions/${row.id}`] : [])
    if (making) this.changePasses(row, { reason: undefined, ...passState(row, making, this.submissions) })
    for (const run of this.waiting(row)) this.update(row, run, states.get(row.runs.indexOf(run)))
  }

  /** Submits its arrays, unless a life of the app that ended right then has. False: Slurm will not have it. */
  private async send(row: Submission, login: Login): Promise<boolean> {
    const { passes } = row
    const refuse = (reason: string) => {
      for (const run of this.waiting(row)) this.end(row, run, { status: 'failed', reason })
      if (isPreparing(row)) this.changePasses(row, { state: 'failed', reason })
      return false
    }
    if (passes && passes.job === undefined) {
      const answer = await sendArray(this.context.dataDir, row, login, passes.runs, { prepare: true })
      if ('refused' in answer) return refuse(answer.refused)
      this.changePasses(row, { job: answer.job, reason: undefined })
    }
    // A job that Slurm has forgotten cannot be waited for; it has ended.
    const known = passes?.job !== undefined && (await taskStates(login, passes.job)).size > 0
    const answer = await sendArray(this.context.dataDir, row, login, row.runs, {
      after: known ? passes.job : undefined,
    })
    if ('refused' in answer) {
      if (isPreparing(row)) await this.cancelPasses(row)
      return refuse(answer.refused)
    }
    row.job = answer.job
    this.submissions.write(row)
    for (const run of this.waiting(row)) this.change(run, { reason: undefined })
    return true
  }

  /** A row as its folder and Slurm say; the folder is the truth, Slurm knows only who is at work. */
  private update(row: Submission, id: string, task: TaskState | undefined): void {
    const folder = new RunFolder(this.context.dataDir, id)
    const config = folder.config()
    const run = this.context.catalogue.data.runs.find((other) => other.id === id)
    if (!run || !config) return this.collected(row, id)
    this.tellSteps(run, folder, config)
    const place = row.runs.indexOf(id)
    const outcome = outcomeOf(folder, task, {
      until: row.cells[id]?.until,
      seenEnded: this.seenEnded.has(id),
      lastWords: () => this.submissions.lastWords(row.id, place),
    })
    if (outcome.kind === 'seen-ended') this.seenEnded.add(id)
    else this.seenEnded.delete(id)
    if (outcome.kind === 'ended') this.end(row, id, outcome.change)
    if (outcome.kind === 'at-work') this.change(id, outcome.change)
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

  private end(row: Submission, run: string, change: Partial<Run>): void {
    this.collected(row, run)
    this.change(run, { endedAt: new Date().toISOString(), ...change, cluster: undefined })
  }

  private collected(row: Submission, run: string): void {
    row.collected.push(run)
    this.submissions.write(row)
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
    pushes.push({ topic: 'run', run: rowOfRun(row) })
  }

  private planned(rows: readonly Pick<Run, 'id' | 'autoCache'>[]): PlannedRun[] {
    return rows.flatMap(({ id, autoCache }) => {
      const config = new RunFolder(this.context.dataDir, id).config()
      return config ? [{ id, autoCache, config }] : []
    })
  }

  private async cancelPasses(row: Submission): Promise<void> {
    const { job } = row.passes!
    if (job !== undefined) await cancel(new Login(row.profile), job)
    this.changePasses(row, { state: 'cancelled', reason: undefined })
  }

  private changePasses(row: Submission, change: Partial<PassJob>): void {
    const before = JSON.stringify(row.passes)
    Object.assign(row.passes!, change)
    if (JSON.stringify(row.passes) === before) return
    this.submissions.write(row)
    this.tellPasses(row)
  }

  private tellPasses({ group, passes }: Submission): void {
    if (!passes) return
    const { runs: _, ...job } = passes
    this.onPasses(group, { ...job })
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
