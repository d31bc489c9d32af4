import { z } from 'zod'
import { badInput } from './errors'

/** What a model's name on the Hugging Face Hub begins with where a path could stand as well. */
export const HUB = 'hf:'
export const MAIN = 'main'

/** A model of the Hub at a revision: a branch, a tag or a commit. */
export interface HubName {
  org: string
  name: string
  revision: string
}

/** As the Hub has them: letters, digits, `-`, `_` and `.`, which stand inside only; no `--`, no `..`. */
const PART = /^(?!.*(--|\.\.))[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/
/** Of git's names what a path and an address can hold as they are: no part begins or ends with a dot. */
const REVISION =
  /^(?!.{201})[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?(\/[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?)*$/

export function isHubName(path: string): boolean {
  return path.startsWith(HUB)
}

/** @throws bad-input when it is not `hf:ORG/NAME` or `hf:ORG/NAME@REVISION` */
export function parseHubName(path: string): HubName {
  const [id = '', ...rest] = path.slice(HUB.length).split('@')
  const [org = '', name = '', ...more] = id.split('/')
  const revision = rest.length ? rest.join('@') : MAIN
  const whole = !more.length && PART.test(org) && PART.test(name) && !name.endsWith('.git')
  if (!whole || !REVISION.test(revision) || revision.includes('..')) {
    throw badInput(`"${path}" names no model of the Hugging Face Hub`, {
      expected: 'hf:ORG/NAME or hf:ORG/NAME@REVISION, as hf:Qwen/Qwen2.5-0.5B',
    })
  }
  return { org, name, revision }
}

export function hubNameText({ org, name, revision }: HubName): string {
  return `${HUB}${org}/${name}${revision === MAIN ? '' : `@${revision}`}`
}

/** A model in the cache that the tools of the Hub share. */
export const cachedModel = z.strictObject({
  /** `ORG/NAME`, with `@REVISION` where that is not main. */
  name: z.string(),
  /** What an import takes: `hf:` and the name; of names without an organisation the snapshot's folder. */
  path: z.string(),
  /** Of the files that are there. */
  bytes: z.number().int().nonnegative(),
  /** `model_type` of its configuration. */
  family: z.string(),
  /** Whether models of the family can be imported. */
  known: z.boolean(),
  /** The first file that an import has to fetch yet. */
  missing: z.string().optional(),
})
export type CachedModel = z.output<typeof cachedModel>
