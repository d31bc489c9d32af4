import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, conflict, failed, hubNameText, parseHubName, type HubName } from '#contract'
import {
  diskFull,
  freeBytes,
  hubRef,
  hubRepository,
  hubSnapshot,
  megabytes,
  missingFile,
  shardsOf,
  takeFileLock,
  WEIGHTS,
  WEIGHTS_INDEX,
  writeFileAtomic,
  type Wanted,
} from '../../../files'
import type { Progress } from '../../progress'
import { adapterAmong, refuseAdapter } from '../adapter'
import { pickleAmong, refusePickle } from '../pickle'
import { HubClient, type HubFile } from './client'
import { bytesThere, download } from './download'
import { hubSettings, type HubSettings } from './settings'

/** Bars are drawn anew this often. */
const TOLD_MS = 200
/** What is told of the time left before it is a guess of one moment. */
const SETTLED_MS = 1500

const TOKENIZER = 'tokenizer.json'
const TOKENIZER_FILES = /^(tokenizer[\w.-]*|special_tokens_map)\.json$/
const CONFIG = 'config.json'
const MODEL_FILES = ['generation_config.json']

export interface FetchOptions {
  wanted: Wanted
  /** Judges the folder once its configuration is there, before the weights are fetched. */
  check?: (folder: string) => void
  settings?: HubSettings
  /** Before the second try; it doubles then. */
  firstWaitMs?: number
}

/**
 * The folder of a model of the Hugging Face Hub: from the cache where it is there, without network, else fetched into
 * the cache, where Python's tools find it too.
 *
 * @param path `hf:ORG/NAME[@REVISION]`
 * @throws bad-input when there is no such model, it may not be read, it holds nothing that can be imported, or bytes
 *   are not those of their digest; failed when there is no network, or it stays broken
 */
export async function fetchModel(path: string, progress: Progress, options: FetchOptions): Promise<string> {
  const { wanted, settings = hubSettings() } = options
  const name = parseHubName(path)
  const { cache, offline } = settings
  const there = hubSnapshot(cache, name)
  const missing = there && missingFile(there, wanted)
  if (there && !missing) return there
  if (there && missing === WEIGHTS && offline) {
    const pickle = pickleAmong(readdirSync(there))
    if (pickle) throw refusePickle(join(there, pickle))
  }
  if (offline)
    throw badInput(missing ? `the cache has no ${missing} of it` : 'it is not in the cache', {
      file: hubNameText(name),
      expected: `a model in ${cache}; with HF_HUB_OFFLINE nothing is fetched`,
    })
  const lock = takeFileLock(join(cache, '.locks', `models--${name.org}--${name.name}`, 'retort.lock'))
  if (!('release' in lock))
    throw conflict(`${hubNameText(name)} is being fetched already (process ${lock.pid} on ${lock.host})`)
  try {
    return await fetchSnapshot(name, settings, progress, options)
  } finally {
    lock.release()
  }
}

/** The `tokenizer.json` of a model of the Hub, without the model; as `fetchModel`. */
export async function fetchTokenizer(path: string, progress: Progress): Promise<string> {
  return join(await fetchModel(path, progress, { wanted: { model: false, tokenizer: true } }), TOKENIZER)
}

async function fetchSnapshot(
  name: HubName,
  settings: HubSettings,
  progress: Progress,
  { wanted, check, firstWaitMs }: FetchOptions,
): Promise<string> {
  const { cache } = settings
  const repository = hubRepository(cache, name)
  const pace = new Pace(progress)
  const client = new HubClient(settings, name, (why, seconds) => pace.wait(why, seconds), firstWaitMs)
  progress(`asking ${new URL(settings.endpoint).host}`, 0)
  const { commit, files } = await client.list()
  const folder = join(repository, 'snapshots', commit)
  refuseUnusable(client.text, files, wanted)

  const bring = async (wantedFiles: readonly string[]) => {
    const described: HubFile[] = []
    for (const file of wantedFiles)
      if (!existsSync(join(folder, file))) described.push(await client.describe(commit, file))
    pace.expect(described, repository)
    checkRoom(cache, described, repository)
    for (const file of described) {
      pace.at(file.file)
      await download(client, repository, file, (count) => pace.moved(count))
    }
  }
  if (wanted.model) {
    // What says whether it can be imported at all comes before the gigabytes.
    await bring([CONFIG])
    check?.(folder)
    if (files.includes(WEIGHTS_INDEX)) await bring([WEIGHTS_INDEX])
  }
  const weights = !wanted.model ? [] : files.includes(WEIGHTS_INDEX) ? shardsOf(folder) : [WEIGHTS]
  const more = files.filter(
    (file) => (wanted.model && MODEL_FILES.includes(file)) || TOKENIZER_FILES.test(file),
  )
  await bring([...more, ...weights])
  const lacking = missingFile(folder, wanted)
  if (lacking) throw failed(`${client.text}: ${lacking} is not there after the fetch`)
  // The last: a revision that has a name is whole.
  if (commit !== name.revision) writeFileAtomic(hubRef(cache, name), commit)
  return folder
}

function refuseUnusable(text: string, files: readonly string[], wanted: Wanted): void {
  const lacks = (file: string, expected: string) =>
    badInput(`the repository has no ${file}`, { file: text, expected })
  const adapter = wanted.model && adapterAmong(files)
  if (adapter) throw refuseAdapter(`${text}: ${adapter}`)
  if (wanted.model && !files.includes(CONFIG)) throw lacks(CONFIG, 'a model of transformers')
  if (wanted.model && !files.includes(WEIGHTS) && !files.includes(WEIGHTS_INDEX)) {
    const pickle = pickleAmong(files)
    if (pickle) throw refusePickle(`${text}: ${pickle}`)
    throw lacks(WEIGHTS, 'weights as safetensors')
  }
  if (wanted.tokenizer && !files.includes(TOKENIZER))
    throw lacks(TOKENIZER, wanted.model ? 'one, or --tokenizer with a tokenizer of the same model' : 'one')
}

function checkRoom(cache: string, files: readonly HubFile[], repository: string): void {
  const needed = files.reduce((sum, file) => sum + file.bytes - bytesThere(repository, file), 0)
  const free = freeBytes(cache)
  if (free !== undefined && needed > free) throw diskFull(cache, needed, undefined)
}

/** Bytes fetched of those that are known to be needed, as progress with the time left. */
class Pace {
  private total = 0
  private done = 0
  private came = 0
  private file = ''
  private began = 0
  private told = 0

  constructor(private readonly progress: Progress) {}

  /** What is to come; of an earlier fetch's part only the rest. */
  expect(files: readonly HubFile[], repository: string): void {
    for (const file of files) {
      this.total += file.bytes
      this.done += bytesThere(repository, file)
    }
  }

  at(file: string): void {
    this.file = file
    this.told = 0
  }

  moved(count: number): void {
    this.began ||= Date.now()
    this.done += count
    if (count > 0) this.came += count
    if (Date.now() - this.told >= TOLD_MS || this.done === this.total) this.tell()
  }

  wait(why: string, seconds: number): void {
    this.progress(`${why}; another try in ${Math.ceil(seconds)} s`, this.fraction)
  }

  private get fraction(): number {
    return this.total ? this.done / this.total : 0
  }

  private tell(): void {
    this.told = Date.now()
    const elapsed = this.told - this.began
    const left = elapsed >= SETTLED_MS ? ((this.total - this.done) * elapsed) / this.came / 1000 : undefined
    const phase = `fetching ${this.file}, ${megabytes(this.done)} of ${megabytes(this.total)}`
    this.progress(phase, this.fraction, left)
  }
}
