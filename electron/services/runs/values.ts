import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  measured,
  runFiles,
  settingText,
  valueAt,
  type ParsedParams,
  type Result,
  type Run,
  type RunValue,
} from '#contract'
import { RunFolder } from '../../store'
import type { Context } from '../context'

const HELD_OUT = 'heldOut.'
/** Folders that are read at a time: the host serves others between them. */
const AT_ONCE = 64

/** Columns of the list of runs that are not in the catalogue. A run's settings never change: each is read once. */
export class RunValues {
  private readonly settings = new Map<string, Map<string, RunValue>>()

  constructor(private readonly context: Context) {}

  async read({ keys, ids }: ParsedParams<'runs.values'>): Promise<Result<'runs.values'>> {
    const wanted = ids && new Set(ids)
    const runs = this.context.catalogue.data.runs.filter(({ id }) => !wanted || wanted.has(id))
    const paths = keys.filter((key) => !key.startsWith(HELD_OUT))
    const unread = runs.filter(({ id }) => paths.some((path) => !this.settings.get(id)?.has(path)))
    for (let at = 0; at < unread.length; at += AT_ONCE)
      await Promise.all(unread.slice(at, at + AT_ONCE).map((run) => this.readSettings(run, paths)))
    const valueOf = (run: Run, key: string) =>
      key.startsWith(HELD_OUT)
        ? measurement(run, key.slice(HELD_OUT.length))
        : (this.settings.get(run.id)?.get(key) ?? null)
    return {
      ids: runs.map(({ id }) => id),
      values: Object.fromEntries(keys.map((key) => [key, runs.map((run) => valueOf(run, key))])),
    }
  }

  private async readSettings({ id }: Run, paths: readonly string[]): Promise<void> {
    const { path: folder } = new RunFolder(this.context.dataDir, id)
    const text = await readFile(join(folder, runFiles.config), 'utf8').catch(() => undefined)
    // A run that waits has none yet.
    if (text === undefined) return
    const known = this.settings.get(id) ?? new Map<string, RunValue>()
    const experiment = experimentOf(text)
    for (const path of paths) known.set(path, setting(experiment, path))
    this.settings.set(id, known)
  }
}

/** Without its schema, which thousands of runs would wait for: a damaged file has no settings. */
function experimentOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { experiment?: unknown }).experiment
  } catch {
    return undefined
  }
}

function setting(experiment: unknown, path: string): RunValue {
  const value = valueAt(experiment, path)
  if (value === null || value === undefined) return null
  return typeof value === 'number' || typeof value === 'string' ? value : settingText(value)
}

function measurement({ evaluation }: Run, key: string): RunValue {
  if (!evaluation || !Object.hasOwn(evaluation, key)) return null
  const value = evaluation[key as keyof typeof evaluation]
  const found = measured.safeParse(value)
  return value !== null && found.success ? found.data : null
}
