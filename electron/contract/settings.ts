import { z } from 'zod'
import { backends, objectName } from './experiment'
import { selfTestResult } from './job'
import { threadCount } from './job/base'

/** Runs at the same time, at most. */
const MOST_RUNS = 256

export const settings = z.strictObject({
  /** Where workers run: Electron's utility process, or a plain Node process (see `launcherReason`). */
  launcher: z.enum(['auto', 'utility', 'node']).default('auto'),
  threads: threadCount,
  /** What computes, where a definition leaves it open. */
  backend: z.enum(backends).default('auto'),
  /** Most memory that a run may need; 0: what the machine has left. */
  memoryGb: z.number().nonnegative().default(0),
  /** Runs computed at the same time. */
  concurrency: z.number().int().positive().max(MOST_RUNS, `expected at most ${MOST_RUNS}`).default(1),
  /** The teacher-output cache: what is longest unused goes first, above this size or after so many days. */
  cacheGb: z.number().positive().default(20),
  cacheDays: z.number().positive().default(30),
  /** The queue starts nothing while this is set; what runs goes on. */
  queuePaused: z.boolean().default(false),
  /** The folder within which pages in a browser look for files; empty: the user's home. */
  browseRoot: z.string().default(''),
  /** Columns of the list of runs beyond its own, by the keys of `runs.values`. */
  runColumns: z.array(z.string()).max(30).default([]),
  /** Views of the list of runs that are kept: its address by name. */
  runViews: z
    .array(z.strictObject({ name: objectName, query: z.record(z.string(), z.string()) }))
    .max(200)
    .default([]),
  colorMode: z.enum(['system', 'light', 'dark']).default('system'),
})
export type Settings = z.output<typeof settings>

/** Some of them: what is not said stays as it is. `partial` alone would fill in the defaults of the others. */
export const settingsChange = z.strictObject(
  Object.fromEntries(
    Object.entries(settings.shape).map(([name, field]) => [
      name,
      (field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field).optional(),
    ]),
  ),
) as unknown as ReturnType<typeof settings.partial>

export const appInfo = z.object({
  version: z.string(),
  host: z.enum(['desktop', 'web']),
  dataDir: z.string(),
  node: z.string(),
  platform: z.string(),
  cores: z.number(),
  memoryGb: z.number(),
  /** What starts the workers, and why if it is not the first choice. */
  launcher: z.enum(['utility', 'node']),
  launcherReason: z.string().optional(),
  backends: selfTestResult.shape.backends,
})
export type AppInfo = z.output<typeof appInfo>
