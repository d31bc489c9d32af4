import { z } from 'zod'
import { autoCache } from '../experiment'
import { alignmentSetting, runConfig } from '../run'
import { base, computing } from './base'
import { benchJob } from './bench'
import {
  deriveTeacherJob,
  generateCorpusJob,
  importCorpusJob,
  importTeacherJob,
  importTokenizerJob,
  previewCorpusJob,
  previewReadingJob,
  trainTokenizerJob,
} from './library'
import { calibrateJob, disagreementJob, evaluateJob, exportJob, generateJob, int8Job } from './models'

/** Trains the run of `config` in its folder `runs/<id>`; `resume` goes on from its last checkpoint. */
export const runJob = z.object({
  ...computing,
  kind: z.literal('run'),
  config: runConfig,
  resume: z.boolean(),
  /** What `cache.mode: auto` is for this run. */
  autoCache,
  /** Stops after this step with a checkpoint. */
  until: z.number().int().positive().optional(),
  /** Of runs that share its teacher passes: layers that they align with are kept for them. */
  sharedAlignments: z.array(alignmentSetting).default([]),
})

/**
 * Makes the teacher passes of a run that `cache/teachers` lacks, without training it. Result: `{status, step: 0}`,
 * `stopped` when some are left.
 */
export const prepareJob = runJob
  .pick({
    dataDir: true,
    threads: true,
    backend: true,
    config: true,
    autoCache: true,
    sharedAlignments: true,
  })
  .extend({ kind: z.literal('prepare') })

/** Loads the backend and multiplies two matrices: does the native library live in this process? Result: Backends. */
export const selfTestJob = z.object({ ...base, kind: z.literal('self-test') })
export const selfTestResult = z.object({
  backends: z.array(
    z.object({
      name: z.string(),
      available: z.boolean(),
      version: z.string().optional(),
      note: z.string(),
      /** What it lacks, or lacks for its GPU: a line each. */
      missing: z.array(z.string()).optional(),
    }),
  ),
})
export type SelfTestResult = z.output<typeof selfTestResult>

export const job = z.discriminatedUnion('kind', [
  runJob,
  prepareJob,
  importCorpusJob,
  previewCorpusJob,
  previewReadingJob,
  generateCorpusJob,
  trainTokenizerJob,
  importTokenizerJob,
  importTeacherJob,
  deriveTeacherJob,
  evaluateJob,
  calibrateJob,
  int8Job,
  disagreementJob,
  generateJob,
  exportJob,
  benchJob,
  selfTestJob,
])
export type Job = z.output<typeof job>
export type JobInput = z.input<typeof job>
export type JobKind = Job['kind']
