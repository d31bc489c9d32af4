import { failed, type ClusterProfile, type ClusterState } from '#contract'
import { lastLine, type Login } from './login'

/** What Slurm knows of one task of a job array. */
export interface TaskState {
  state: ClusterState
  /** Slurm's own word: `COMPLETED`, `TIMEOUT`, `OUT_OF_MEMORY`, `NODE_FAIL`, ... */
  word: string
  /** Why it waits, or nothing. */
  reason?: string
}

const WAITING = new Set([
  'PENDING',
  'REQUEUED',
  'REQUEUE_HOLD',
  'REQUEUE_FED',
  'SPECIAL_EXIT',
  'RESV_DEL_HOLD',
])
const WORKING = new Set([
  'RUNNING',
  'CONFIGURING',
  'COMPLETING',
  'SUSPENDED',
  'STOPPED',
  'RESIZING',
  'SIGNALING',
  'STAGE_OUT',
])

/** Slurm's word as one of ours. */
export function stateOf(word: string): ClusterState {
  return WAITING.has(word) ? 'pending' : WORKING.has(word) ? 'running' : 'ended'
}

export interface ArrayJob {
  name: string
  tasks: number
  script: string
  /** A job that has to have ended, however, before the first of its tasks starts. */
  after?: string
}

/** The arguments of `sbatch` for an array of `tasks` tasks. Everything is an argument: nothing of a profile is parsed. */
export function batchArguments(
  profile: ClusterProfile,
  { tasks, name, after }: Omit<ArrayJob, 'script'>,
): string[] {
  const { partition, account, cpus, memory, time, gres, throttle, warning, options } = profile
  const given = (option: string, value: string | undefined) =>
    value === undefined ? [] : [`--${option}=${value}`]
  return [
    '--parsable',
    `--job-name=${name}`,
    `--array=0-${tasks - 1}%${throttle}`,
    `--cpus-per-task=${cpus}`,
    ...given('partition', partition),
    ...given('account', account),
    ...given('mem', memory),
    ...given('time', time),
    ...given('gres', gres),
    `--signal=B:USR1@${warning}`,
    ...given('dependency', after && `afterany:${after}`),
    '--requeue',
    '--open-mode=append',
    '--output=/dev/null',
    '--chdir=/',
    ...options,
  ]
}

/**
 * Submits a job array. Resolves to its number, or to why Slurm will not have it: asking again will not help.
 *
 * @throws failed when the login host cannot be reached
 */
export async function submit(
  login: Login,
  profile: ClusterProfile,
  array: ArrayJob,
): Promise<{ job: string } | { refused: string }> {
  const { status, stdout, stderr } = await login.ask(
    ['sbatch', ...batchArguments(profile, array)],
    array.script,
  )
  // `number` or `number;cluster`, below whatever the site's profile prints.
  const job = /^(\d+)(;.*)?$/.exec(lastLine(stdout))?.[1]
  if (status === 0 && job) return { job }
  return {
    refused: `sbatch refused the job: ${lastLine(stderr) || lastLine(stdout) || `exit status ${status}`}`,
  }
}

/** The number of a submitted array by its name, for when the answer of `sbatch` was lost. */
export async function findJob(login: Login, name: string): Promise<string | undefined> {
  const answer = await login.demand(['squeue', '--noheader', '--states=all', `--name=${name}`, '--format=%F'])
  return /\d+/.exec(answer)?.[0]
}

/**
 * The tasks that Slurm still knows, by index: from `squeue`, which knows the living, then `scontrol`, which remembers
 * ended ones for some minutes, then `sacct`, where a cluster keeps accounts. A task that none of them knows is absent.
 *
 * @throws failed when Slurm itself does not answer: then nothing is known, and nothing may be concluded
 */
export async function taskStates(login: Login, job: string): Promise<Map<number, TaskState>> {
  const states = new Map<number, TaskState>()
  const queue = await login.ask(['squeue', '--noheader', '--array', `--jobs=${job}`, '--format=%K|%T|%r'])
  if (queue.status !== 0 && !unknownJob(queue.stderr)) {
    throw failed(`squeue does not answer: ${lastLine(queue.stderr)}`)
  }
  const remembered = await login.ask(['scontrol', '--oneliner', 'show', 'job', job])
  if (remembered.status === 0)
    for (const [task, state] of parseJobs(remembered.stdout)) states.set(task, state)
  if (!states.size) {
    const accounts = await login.ask([
      'sacct',
      '--noheader',
      '--parsable2',
      '--allocations',
      `--jobs=${job}`,
      '--format=JobID,State',
    ])
    if (accounts.status === 0) {
      for (const [task, state] of parseAccounts(accounts.stdout)) states.set(task, state)
    }
  }
  // The queue is newer than memory: a task that was queued again stands in both.
  if (queue.status === 0) for (const [task, state] of parseQueue(queue.stdout)) states.set(task, state)
  return states
}

function unknownJob(stderr: string): boolean {
  return /Invalid job id/i.test(stderr)
}

/** Lines of `squeue --format=%K|%T|%r`. */
export function* parseQueue(text: string): Generator<[number, TaskState]> {
  for (const line of text.split('\n')) {
    const [task, word, reason] = line.trim().split('|')
    if (!task || !/^\d+$/.test(task) || !word) continue
    yield [Number(task), { state: stateOf(word), word, reason: reason === 'None' ? undefined : reason }]
  }
}

/** Lines of `scontrol --oneliner show job`; waiting tasks share a line (`ArrayTaskId=4-11%2`) and are the queue's. */
function* parseJobs(text: string): Generator<[number, TaskState]> {
  for (const line of text.split('\n')) {
    const task = /\bArrayTaskId=(\d+)(?=\s)/.exec(line)?.[1]
    const word = /\bJobState=(\w+)/.exec(line)?.[1]
    if (task !== undefined && word) yield [Number(task), { state: stateOf(word), word }]
  }
}

/** Lines of `sacct --parsable2 --format=JobID,State`: `17_3|CANCELLED by 1000`. */
export function* parseAccounts(text: string): Generator<[number, TaskState]> {
  for (const line of text.split('\n')) {
    const [, task, word] = /^\d+_(\d+)\|(\w+)/.exec(line.trim()) ?? []
    if (task !== undefined && word) yield [Number(task), { state: stateOf(word), word }]
  }
}

/** Cancels a whole array, or some of its tasks; one that has ended already is no error. */
export async function cancel(login: Login, job: string, tasks?: readonly number[]): Promise<void> {
  const what = tasks ? tasks.map((task) => `${job}_${task}`) : [job]
  const { status, stderr } = await login.ask(['scancel', ...what])
  if (status !== 0 && !unknownJob(stderr)) throw failed(`scancel failed: ${lastLine(stderr)}`)
}
