import { cpSync, existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  badInput,
  conflict,
  duplicatesText,
  hubNameText,
  isHubName,
  isSameTokenizer,
  parseHubName,
  runFiles,
  type CachedModel,
  unreadableWarning,
  type Corpus,
  type Job,
  type ParsedParams,
  type Run,
  type ServedImport,
  type Task,
  type Teacher,
  type teacherFormats,
  type Tokenizer,
} from '#contract'
import { hubCacheFolder, listHubCache, placeItem, writeJsonAtomic } from '../../files'
import { paths, ROW, RunFolder, type LibraryNoun } from '../../store'
import type { Context } from '../context'
import { checkFree, find, nameFromPath, newId } from '../identity'
import { importName } from './importName'
import { forwardProgress, type JobOf, performJob, Slots, type TaskBoard, type TaskControl } from '../jobs'
import { Previews, SILENT } from './previews'

/** Imports at work at once, each in a process of its own of 100 MB and more; others wait. */
const AT_ONCE = 4

export interface ImportTeacherOptions {
  path: string
  name?: string
  tokenizerPath?: string
  format?: (typeof teacherFormats)[number]
  /** Of a path that is the address of a server. */
  served?: ServedImport
  /** Its weights stay where they are. */
  reference?: boolean
}

/** Corpora, tokenizers and teachers: what experiments name. */
export class Library {
  readonly previews: Previews
  private readonly slots = new Slots(AT_ONCE)

  constructor(
    private readonly context: Context,
    private readonly tasks: TaskBoard,
  ) {
    this.previews = new Previews(context)
  }

  get corpora(): Corpus[] {
    return this.context.catalogue.data.corpora
  }

  get tokenizers(): Tokenizer[] {
    return this.context.catalogue.data.tokenizers
  }

  get teachers(): Teacher[] {
    return this.context.catalogue.data.teachers
  }

  startImportCorpus(params: ParsedParams<'corpora.import'>): Task {
    const name = params.name ?? nameFromPath(params.path)
    checkFree('corpus', this.corpora, name)
    const started = this.tasks.start(`Import ${name}`, async (control) => {
      const row = await this.importCorpus({ ...params, name }, control)
      const warnings = [row.unreadable && unreadableWarning(row.unreadable), duplicatesText(row)]
      const said = warnings.filter((warning): warning is string => !!warning)
      if (said.length) started.row.warnings = said
      return row
    })
    return started.row
  }

  importCorpus(params: ParsedParams<'corpora.import'>, control = SILENT): Promise<Corpus> {
    const name = params.name ?? nameFromPath(params.path)
    return this.addCorpus(name, control, (id) => ({ ...params, kind: 'import-corpus', id, name }))
  }

  generateCorpus(
    params: { name: string; domain: string; bytes: number; seed: number },
    control = SILENT,
  ): Promise<Corpus> {
    return this.addCorpus(params.name, control, (id) => ({ ...params, kind: 'generate-corpus', id }))
  }

  private async addCorpus(
    name: string,
    control: TaskControl,
    job: (id: string) => JobOf<'import-corpus'> | JobOf<'generate-corpus'>,
  ): Promise<Corpus> {
    checkFree('corpus', this.corpora, name)
    const id = newId(name, this.corpora)
    const row = await this.perform<Corpus>('corpora', id, job(id), control)
    this.add('corpora', row)
    return row
  }

  startTrainTokenizer(params: ParsedParams<'tokenizers.train'>): Task {
    const corpora = params.corpora.map((name) => find('corpus', this.corpora, name))
    const name = params.name ?? `${corpora.map((corpus) => corpus.name).join('-')}-${params.vocab}`
    checkFree('tokenizer', this.tokenizers, name)
    return this.tasks.start(`Train ${name}`, (control) => this.trainTokenizer({ ...params, name }, control))
      .row
  }

  async trainTokenizer(
    params: { name: string; corpora: string[]; vocab: number },
    control = SILENT,
  ): Promise<Tokenizer> {
    const corpora = params.corpora.map((name) => find('corpus', this.corpora, name))
    return this.addTokenizer(params.name, control, (id) => ({
      ...params,
      kind: 'train-tokenizer',
      id,
      corpora,
    }))
  }

  startImportTokenizer(params: ParsedParams<'tokenizers.import'>): Task {
    const name = importName(params)
    checkFree('tokenizer', this.tokenizers, name)
    return this.tasks.start(`Import ${name}`, (control) => this.importTokenizer({ ...params, name }, control))
      .row
  }

  importTokenizer(params: ParsedParams<'tokenizers.import'>, control = SILENT): Promise<Tokenizer> {
    const name = importName(params)
    return this.addTokenizer(name, control, (id) => ({ ...params, kind: 'import-tokenizer', id, name }))
  }

  /** One that is in the library already, byte for byte, is not added again. */
  private async addTokenizer(
    name: string,
    control: TaskControl,
    job: (id: string) => JobOf<'train-tokenizer'> | JobOf<'import-tokenizer'>,
  ): Promise<Tokenizer> {
    checkFree('tokenizer', this.tokenizers, name)
    const id = newId(name, this.tokenizers)
    const row = await this.perform<Tokenizer>('tokenizers', id, job(id), control)
    const known = this.tokenizers.find((one) => isSameTokenizer(one, row))
    if (known) {
      this.removeFolder('tokenizers', id)
      throw conflict(`it is in the library already, as tokenizer "${known.name}"`)
    }
    this.add('tokenizers', row)
    return row
  }

  /** What an import finds in the cache of the Hugging Face Hub, without fetching it. */
  hubCache(): { folder: string; models: CachedModel[] } {
    const folder = hubCacheFolder()
    return { folder, models: listHubCache(folder) }
  }

  startImportTeacher(params: ParsedParams<'teachers.import'>): Task {
    const name = importName(params)
    checkFree('teacher', this.teachers, name)
    const started = this.tasks.start(`Import ${name}`, async (control) => {
      const row = await this.importTeacher({ ...params, name }, control)
      const { warning } = row.check!
      if (warning) started.row.warnings = [warning]
      return row
    })
    return started.row
  }

  /** A teacher brings its tokenizer; one that the library has already, with the same settings, is shared. */
  async importTeacher(options: ImportTeacherOptions, control = SILENT): Promise<Teacher> {
    const name = importName(options)
    checkFree('teacher', this.teachers, name)
    const id = newId(name, this.teachers)
    const tokenizerId = newId(name, this.tokenizers)
    const tokenizerPath = options.tokenizerPath && this.tokenizerPath(options.tokenizerPath)
    const job = { ...options, kind: 'import-teacher' as const, id, name, tokenizerId, tokenizerPath }
    const result = await this.perform<{ teacher: Teacher; tokenizer: Tokenizer }>(
      'teachers',
      id,
      job,
      control,
    )
    const known = this.tokenizers.find((one) => isSameTokenizer(one, result.tokenizer))
    const teacher = { ...result.teacher, tokenizer: (known ?? result.tokenizer).id }
    if (!known) {
      const taken = this.tokenizers.some((row) => row.name === name)
      this.add('tokenizers', { ...result.tokenizer, name: taken ? tokenizerId : name })
    }
    this.add('teachers', teacher)
    // Not before: until now the teacher's folder says that this is its tokenizer.
    if (known) this.removeFolder('tokenizers', tokenizerId)
    return teacher
  }

  /** The file of a tokenizer: of one that is named, of the library's, or in a folder. */
  private tokenizerPath(given: string): string {
    if (isHubName(given)) return hubNameText(parseHubName(given))
    if (existsSync(given)) return statSync(given).isDirectory() ? join(given, 'tokenizer.json') : given
    const row = this.tokenizers.find(({ id, name }) => id === given || name === given)
    if (!row) {
      throw badInput(`there is no such file, and no tokenizer "${given}" in the library`, {
        field: 'tokenizer',
        expected: ['a tokenizer file', 'hf:ORG/NAME', ...this.tokenizers.map(({ name }) => name)].join(', '),
      })
    }
    const folder = paths.libraryItem(this.context.dataDir, 'tokenizers', row.id)
    return join(folder, row.kind === 'llama2c' ? 'tokenizer.bin' : 'tokenizer.json')
  }

  /** A teacher whose logits are those of another, scaled. */
  async deriveTeacher(
    { name, from, logitScale }: { name: string; from: string; logitScale: number },
    control = SILENT,
  ): Promise<Teacher> {
    checkFree('teacher', this.teachers, name)
    const id = newId(name, this.teachers)
    const source = find('teacher', this.teachers, from)
    const job = { kind: 'derive-teacher' as const, id, name, from: source, logitScale }
    const row = await this.perform<Teacher>('teachers', id, job, control)
    this.add('teachers', row)
    return row
  }

  /** Makes a teacher of a completed training run: its best checkpoint. */
  async addTrained(run: Run): Promise<Teacher> {
    const folder = new RunFolder(this.context.dataDir, run.id)
    const best = folder.bestCheckpoint()
    const config = folder.config()
    if (!best || !config) throw conflict(`run "${run.name}" has no checkpoint`)
    const row: Teacher = {
      id: newId(run.name, this.teachers),
      name: run.name,
      source: 'trained',
      tokenizer: config.tokenizer.id,
      model: config.student,
      parameters: run.parameters,
      digest: best.row.files['model.safetensors']!,
      run: run.id,
      perplexity: {},
      calibrations: [],
      createdAt: new Date().toISOString(),
    }
    const target = paths.libraryItem(this.context.dataDir, 'teachers', row.id)
    for (const file of ['model.json', 'model.safetensors']) {
      cpSync(join(best.path, file), join(`${target}.tmp`, file), { recursive: true })
    }
    if (config.experiment.student.lora)
      cpSync(join(folder.path, runFiles.base), join(`${target}.tmp`, runFiles.base), { recursive: true })
    placeItem(target, row)
    this.add('teachers', row)
    return row
  }

  /** Nothing stays of an import that failed or was stopped. */
  private async perform<T>(
    noun: LibraryNoun,
    id: string,
    job: JobOf<Job['kind']>,
    control: TaskControl,
  ): Promise<T> {
    try {
      const { signal, progress } = control
      const work = () => performJob<T>(this.context, job, { signal, onEvent: forwardProgress(progress) })
      return await this.slots.hold(signal, () => progress('waiting for other imports', 0), work)
    } catch (error) {
      this.removeFolder(noun, id)
      this.removeFolder(noun, `${id}.tmp`)
      throw error
    }
  }

  private add(noun: LibraryNoun, row: Corpus | Tokenizer | Teacher): void {
    writeJsonAtomic(join(paths.libraryItem(this.context.dataDir, noun, row.id), ROW), row)
    this.context.catalogue.update((data) => (data[noun] as (typeof row)[]).push(row))
    this.context.pushes.push({ topic: 'library', noun })
  }

  private removeFolder(noun: LibraryNoun, id: string): void {
    const folder = paths.libraryItem(this.context.dataDir, noun, id)
    if (existsSync(folder)) rmSync(folder, { recursive: true, force: true })
  }
}
