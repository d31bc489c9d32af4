import { z } from 'zod'
import { autoCache, objectName } from './experiment'
import { id, timestamp } from './library'
import { alignmentSetting } from './run'

const noLineBreak = (what: string) =>
  z
    .string()
    .min(1)
    .regex(/^[^\0\r\n]*$/, `${what} is one line`)
const option = noLineBreak('an option')
/** A word that stands first after a command's own options must not be taken for another one. */
const host = noLineBreak('a host').regex(/^[^-]/, 'a host does not begin with a dash')
const path = noLineBreak('a path').regex(/^\//, 'the path is absolute, as the cluster sees it')

/** How Retort uses a Slurm cluster: `<data dir>/clusters/<name>.yaml`. */
export const clusterProfile = z.strictObject({
  name: objectName,
  /** Login host, as `ssh` is given it (an alias of the user's config will do); absent: Slurm's commands are here. */
  host: host.optional(),
  /** The command for `ssh`, with options before the host. */
  ssh: z.array(option).min(1).default(['ssh']),
  /** Data directory on the file system that the cluster's nodes share. */
  dataDir: path,
  /**
   * `shared`: this is the app's own data directory, mounted here and there. `rsync`: what cells need is copied there
   * before they are submitted, and their run folders are copied back.
   */
  transfer: z.enum(['shared', 'rsync']).default('shared'),
  /** The command that starts retort on a node, a word an entry. It must pass signals on, as a script with `exec` does. */
  command: z.array(option).min(1).default(['retort']),
  /** Environment modules to load before it. */
  modules: z.array(option).default([]),
  environment: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a variable is letters, digits, _'),
      option.or(z.literal('')),
    )
    .default({}),
  partition: option.optional(),
  account: option.optional(),
  /** Per cell. */
  cpus: z.number().int().positive().default(1),
  /** Per cell, in Slurm's notation: `4G`. */
  memory: z
    .string()
    .regex(/^\d+[KMGT]?$/i, 'memory is a number and K, M, G or T, as in 4G')
    .optional(),
  /** Per cell, in Slurm's notation: `30` (minutes), `2:00:00`, `1-12`. A cell that needs longer is queued again. */
  time: z
    .string()
    .regex(/^(\d+-)?\d+(:\d+){0,2}$/, 'a time is minutes, h:mm:ss or d-hh')
    .optional(),
  /** Per cell: `gpu:1`. */
  gres: option.optional(),
  /** Cells at the same time. */
  throttle: z.number().int().positive().default(8),
  /** Seconds before the time limit at which a cell makes its checkpoint. */
  warning: z.number().int().min(1).max(65535).default(120),
  /** Seconds between two questions to Slurm how it goes. */
  poll: z.number().positive().default(10),
  /** Further options of `sbatch`, a word an entry. */
  options: z.array(option).default([]),
})
export type ClusterProfile = z.output<typeof clusterProfile>

export const clusterStates = ['pending', 'running', 'ended'] as const
export type ClusterState = (typeof clusterStates)[number]

const jobNumber = z.string().regex(/^\d+$/)

/**
 * The job that makes the teacher passes which a grid's cells share, before the first of them starts. `failed` and
 * `cancelled` end no grid: its cells then make the missing passes themselves, one of them at a time.
 */
export const passJob = z.strictObject({
  cluster: objectName,
  /** Slurm's number of the array, a task a run whose passes are made; absent while `sbatch` has not answered. */
  job: jobNumber.optional(),
  state: z.enum(['waiting', 'running', 'completed', 'failed', 'cancelled']).default('waiting'),
  /** Why it waits, or what it ended by. */
  reason: z.string().optional(),
})
export type PassJob = z.output<typeof passJob>

/** One job array: a task a cell. `<data dir>/submissions/<id>/submission.json`. */
export const submission = z.strictObject({
  id,
  /** Id of the grid. */
  group: id,
  /** The profile as it was. */
  profile: clusterProfile,
  /** Slurm's number of the array; absent while `sbatch` has not answered. */
  job: jobNumber.optional(),
  /** Run ids: task i computes the i-th. */
  runs: z.array(id).min(1),
  /** Runs whose end has been collected. */
  collected: z.array(id).default([]),
  /** What a run's folder does not say: what `cache.mode: auto` is for it, and the step it ends at for now. */
  cells: z
    .record(
      id,
      z.strictObject({
        autoCache,
        until: z.number().int().positive().optional(),
      }),
    )
    .default({}),
  /** Of runs that share their teachers' passes: layers that are kept for all of them. */
  sharedAlignments: z.array(alignmentSetting).default([]),
  /** The job that goes before, and whose passes its tasks make; absent where none are shared. */
  passes: passJob.extend({ runs: z.array(id).min(1) }).optional(),
  submittedAt: timestamp,
})
export type Submission = z.output<typeof submission>

/** A run's task on a cluster, the latest one. */
export const clusterJob = z.object({
  run: id,
  cluster: objectName,
  /** Slurm's number, `1234_5`; absent while the array is on its way. */
  job: z.string().optional(),
  /** Its end has been collected: the run says how. */
  ended: z.boolean(),
  submittedAt: timestamp,
})
export type ClusterJob = z.output<typeof clusterJob>

/** What `clusters.test` found, a line a question. */
export const clusterCheck = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ what: z.string(), ok: z.boolean(), answer: z.string() })),
})
export type ClusterCheck = z.output<typeof clusterCheck>

/** Exit status of `retort cell` when it has stopped with a checkpoint and wants to be queued again. */
export const CELL_STOPPED = 75
