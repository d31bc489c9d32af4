import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { families, HUB, hubNameText, MAIN, parseHubName, type CachedModel, type HubName } from '#contract'
import { readJson } from './json'

/**
 * The cache that the tools of the Hugging Face Hub share, Python's before all:
 * `models--ORG--NAME/{refs/REVISION, snapshots/COMMIT/FILE, blobs/DIGEST}`, where a file of a snapshot is a link to its
 * blob and a ref holds a commit.
 */
type Environment = Readonly<Record<string, string | undefined>>

export const WEIGHTS = 'model.safetensors'
export const WEIGHTS_INDEX = 'model.safetensors.index.json'

/** What of a model is needed. */
export interface Wanted {
  /** Configuration and weights. */
  model: boolean
  tokenizer: boolean
}

/** `HF_HOME`, where the Hub's tools keep their things. */
export function hubHome(env: Environment = process.env): string {
  const base = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return expanded(env.HF_HOME || join(base, 'huggingface'))
}

export function hubCacheFolder(env: Environment = process.env): string {
  return expanded(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), 'hub'))
}

const expanded = (path: string) => path.replace(/^~(?=$|[/\\])/, homedir())

/** The folder of a model of which all revisions lie in the cache. */
export function hubRepository(cache: string, { org, name }: Pick<HubName, 'org' | 'name'>): string {
  return join(cache, `models--${org}--${name}`)
}

export function hubRef(cache: string, name: HubName): string {
  return join(hubRepository(cache, name), 'refs', ...name.revision.split('/'))
}

/** The folder of a model's files at a revision, as far as they are there. */
export function hubSnapshot(cache: string, name: HubName): string | undefined {
  const snapshots = join(hubRepository(cache, name), 'snapshots')
  const commit = readRef(hubRef(cache, name)) ?? name.revision
  const folder = join(snapshots, commit)
  return !commit.includes('/') && isFolder(folder) ? folder : undefined
}

/**
 * The first file that a snapshot lacks of what is wanted; undefined when it is whole.
 *
 * @throws bad-input when the list of its weights' shards is not JSON
 */
export function missingFile(folder: string, wanted: Wanted): string | undefined {
  const weights = existsSync(join(folder, WEIGHTS_INDEX)) ? shardsOf(folder) : [WEIGHTS]
  const files = [
    ...(wanted.model ? ['config.json', ...weights] : []),
    ...(wanted.tokenizer ? ['tokenizer.json'] : []),
  ]
  return files.find((file) => !existsSync(join(folder, file)))
}

/** The shards that a model's index names; those outside its folder are refused by its reader. */
export function shardsOf(folder: string): string[] {
  const { weight_map: map } = readJson(join(folder, WEIGHTS_INDEX)) as {
    weight_map?: Record<string, unknown>
  }
  return [...new Set(Object.values(map ?? {}))].filter(
    (name): name is string => typeof name === 'string' && !/[/\\]/.test(name),
  )
}

/** The models of a cache, by name; what cannot be read as one is left out. */
export function listHubCache(cache: string): CachedModel[] {
  const repositories = foldersIn(cache).filter((folder) => folder.startsWith('models--'))
  return repositories
    .flatMap((folder) =>
      revisionsOf(join(cache, folder), folder.slice('models--'.length).split('--').join('/')),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function revisionsOf(repository: string, id: string): CachedModel[] {
  const snapshots = join(repository, 'snapshots')
  const named = new Map(refsOf(repository).map(({ revision, commit }) => [revision, commit]))
  const referred = new Set(named.values())
  for (const commit of foldersIn(snapshots)) if (!referred.has(commit)) named.set(commit, commit)
  return [...named].flatMap(([revision, commit]) => describe(join(snapshots, commit), id, revision) ?? [])
}

function refsOf(repository: string): { revision: string; commit: string }[] {
  const refs = join(repository, 'refs')
  if (!isFolder(refs)) return []
  return readdirSync(refs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      const file = join(entry.parentPath, entry.name)
      const commit = readRef(file)
      return commit ? { revision: relative(refs, file).split(sep).join('/'), commit } : []
    })
}

function describe(folder: string, id: string, revision: string): CachedModel | undefined {
  try {
    const family = (readJson(join(folder, 'config.json')) as { model_type?: unknown }).model_type
    if (typeof family !== 'string') return undefined
    const files = readdirSync(folder).map((file) => statSync(join(folder, file), { throwIfNoEntry: false }))
    const name = revision === MAIN ? id : `${id}@${revision}`
    return {
      name,
      path: hubPath(name) ?? folder,
      bytes: files.reduce((sum, file) => sum + (file?.isFile() ? file.size : 0), 0),
      family,
      known: (families as readonly string[]).includes(family),
      missing: missingFile(folder, { model: true, tokenizer: true }),
    }
  } catch {
    // No configuration, or one that is damaged: not a model to pick.
    return undefined
  }
}

/** `hf:` and the name; undefined for names of old that have no organisation, and for what is no name. */
function hubPath(name: string): string | undefined {
  try {
    return hubNameText(parseHubName(`${HUB}${name}`))
  } catch {
    return undefined
  }
}

/** The commit that a ref holds; undefined where there is none. */
function readRef(file: string): string | undefined {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined
  const commit = readFileSync(file, 'utf8').trim()
  return /^[A-Za-z0-9_-]{1,64}$/.test(commit) ? commit : undefined
}

function foldersIn(folder: string): string[] {
  return isFolder(folder) ? readdirSync(folder).filter((name) => isFolder(join(folder, name))) : []
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
