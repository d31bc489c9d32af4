import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  badInput,
  checkpointFolder,
  conflict,
  documentDisagreement,
  EXCERPT_DOCUMENTS,
  EXCERPT_TOKENS,
  LIKELIEST,
  runFiles,
  textDigest,
  type Checkpoint,
  type Corpus,
  type DisagreementPage,
  type DocumentDisagreement,
  type ParsedParams,
  type Result,
  type Run,
  type RunConfig,
} from '#contract'
import { sha256 } from '../../files'
import type { RunFolder } from '../../store'
import type { Context } from '../context'
import { find } from '../identity'
import { forwardProgress, performJob, type TaskBoard, type TaskControl } from '../jobs'
import type { RunService } from './runs'

/** Of the files; part of their key. */
const VERSION = 2

type Query = ParsedParams<'runs.disagreement'>

/** What is to be read, and the file that each document's reading is kept in. */
interface Wanted {
  run: Run
  config: RunConfig
  /** The rows as they are named in the configuration, if the library still has them. */
  corpus: Corpus
  checkpoint: Checkpoint
  folder: RunFolder
  documents: { document: number; file: string }[]
}

/**
 * Where the teachers of a run disagree on held-out text. Readings are kept in the run's folder, under the digest of the
 * checkpoint; those of an earlier checkpoint go when a later one's are made.
 */
export class DisagreementService {
  /** Tasks under way, by the files that they are going to write. */
  private readonly running = new Map<string, string>()

  constructor(
    private readonly context: Context,
    private readonly runs: RunService,
    private readonly tasks: TaskBoard,
  ) {}

  /** The page, or the task that computes it. */
  open(query: Query): Result<'runs.disagreement'> {
    const wanted = this.wanted(query)
    const page = readPage(wanted)
    if (page) return { page }
    const key = JSON.stringify(wanted.documents)
    const known = this.tasks.list().find(({ id }) => id === this.running.get(key))
    if (known?.status === 'running') return { task: known }
    const { row, done } = this.tasks.start(`Disagreement in ${wanted.run.name}`, (control) =>
      this.compute(wanted, control),
    )
    this.running.set(key, row.id)
    done.catch(() => {}).finally(() => this.running.delete(key))
    return { task: row }
  }

  /** The page, computed now where it is not known. */
  async read(query: Query, control: TaskControl): Promise<DisagreementPage> {
    const wanted = this.wanted(query)
    if (!readPage(wanted)) await this.compute(wanted, control)
    return readPage(wanted)!
  }

  private async compute(wanted: Wanted, control: TaskControl): Promise<void> {
    const { config, corpus, checkpoint, folder } = wanted
    const documents = wanted.documents.filter(({ file }) => !readDocument(file))
    await performJob(
      this.context,
      {
        kind: 'disagreement',
        config,
        checkpoint: join(folder.path, runFiles.checkpoints, checkpointFolder(checkpoint.step)),
        corpus,
        documents,
      },
      { signal: control.signal, onEvent: forwardProgress(control.progress) },
    )
    for (const name of folder.readings()) {
      if (name !== nameOf(checkpoint))
        rmSync(join(folder.path, runFiles.disagreement, name), { recursive: true, force: true })
    }
  }

  /** @throws conflict when the run has nothing to be asked, bad-input naming the parameter */
  private wanted({ id, corpus: chosen, first }: Query): Wanted {
    const run = this.runs.row(id)
    const folder = this.runs.folder(run.id)
    const config = folder.config()
    const checkpoint = folder.bestCheckpoint()?.row
    if (run.teachers.length < 2) throw conflict(`run "${run.name}" has no two teachers that could disagree`)
    if (!config || !checkpoint) throw conflict(`run "${run.name}" has no checkpoint yet`)
    const { data } = this.context.catalogue
    const rows = config.corpora.map(({ row }) => row)
    const row = chosen === undefined ? rows[0]! : find('corpus of this run', rows, chosen)
    if (!data.corpora.some((known) => known.id === row.id)) {
      throw conflict(`corpus "${row.name}" is not in the library any more`)
    }
    const gone = config.teachers.find(({ id }) => !data.teachers.some((teacher) => teacher.id === id))
    if (gone) throw conflict(`teacher "${gone.name}" is not in the library any more`)
    const total = row.heldOutDocuments
    if (first >= total) {
      throw badInput(`corpus "${row.name}" has ${total} held-out documents`, {
        field: 'first',
        expected: `at most ${total - 1}, counted from 0`,
      })
    }
    const count = Math.min(EXCERPT_DOCUMENTS, total - first)
    const base = join(folder.path, runFiles.disagreement, nameOf(checkpoint))
    const documents = Array.from({ length: count }, (_, i) => first + i).map((document) => {
      const key = { VERSION, EXCERPT_TOKENS, LIKELIEST, corpus: textDigest(row), document }
      return { document, file: join(base, `${sha256(JSON.stringify(key))}.json`) }
    })
    return { run, config, corpus: row, checkpoint, folder, documents }
  }
}

/** The folder of a checkpoint's readings: its weights' digest. The run's configuration never changes. */
function nameOf({ files }: Checkpoint): string {
  return files['model.safetensors']!.slice(0, 32)
}

function readPage({ config, corpus, checkpoint, documents }: Wanted): DisagreementPage | undefined {
  const found = documents.map(({ file }) => readDocument(file))
  if (found.some((one) => one === undefined)) return undefined
  return {
    corpus: corpus.id,
    total: corpus.heldOutDocuments,
    step: checkpoint.step,
    tau: config.experiment.loss.tau,
    teachers: config.teachers.map(({ name }) => name),
    documents: found as DocumentDisagreement[],
  }
}

/** A file that is not whole, or of another making, is as good as none. */
function readDocument(file: string): DocumentDisagreement | undefined {
  if (!existsSync(file)) return undefined
  try {
    return documentDisagreement.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}
