import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, submission, type Submission } from '#contract'
import { logName } from '../../cluster'
import { readJson, writeJsonAtomic } from '../../files'
import { paths } from '../../store'

/** Lines of a task's log that say nothing of why it ended. */
const NO_REASON = /^(exit status \d+$|task \d+_|Node\.js v|\s)/

/** The submissions of a data directory: a file each, beside the logs of its tasks. */
export class Submissions {
  constructor(private readonly dataDir: string) {}

  /** The oldest first. */
  all(): Submission[] {
    const folder = paths.submissions(this.dataDir)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .flatMap((id) => this.get(id) ?? [])
      .sort((a, b) => a.submittedAt.localeCompare(b.submittedAt))
  }

  get(id: string): Submission | undefined {
    const file = this.file(id)
    return existsSync(file) ? parse(submission, readJson(file), file) : undefined
  }

  write(row: Submission): void {
    mkdirSync(join(paths.submissions(this.dataDir), row.id), { recursive: true })
    writeJsonAtomic(this.file(row.id), row)
  }

  /** What a task printed last before its exit status. */
  lastWords(id: string, task: number, prepare = false): string | undefined {
    return this.log(id, task, prepare).findLast((line) => line.trim() && !NO_REASON.test(line))
  }

  /** What the last start of a task ended with, for when Slurm remembers it no longer. */
  exitStatus(id: string, task: number, prepare = false): number | undefined {
    const status = /^exit status (\d+)$/.exec(this.log(id, task, prepare).at(-1) ?? '')?.[1]
    return status === undefined ? undefined : Number(status)
  }

  private log(id: string, task: number, prepare: boolean): string[] {
    const file = join(paths.submissions(this.dataDir), id, logName(task, prepare))
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }

  private file(id: string): string {
    return join(paths.submissions(this.dataDir), id, 'submission.json')
  }
}
