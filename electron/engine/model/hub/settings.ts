import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { badInput } from '#contract'
import { hubCacheFolder, hubHome } from '../../../files'

/** Where the Hub is and who asks: what the environment says to every tool of the Hub. */
export interface HubSettings {
  /** Without a slash at its end. */
  endpoint: string
  token?: string
  cache: string
  offline: boolean
}

const TRUE = ['1', 'ON', 'YES', 'TRUE']

/**
 * Reads `HF_ENDPOINT`, `HF_TOKEN` or the file of the token, `HF_HUB_CACHE`, `HF_HOME` and `HF_HUB_OFFLINE`.
 *
 * @throws bad-input naming the variable that cannot be
 */
export function hubSettings(env: Readonly<Record<string, string | undefined>> = process.env): HubSettings {
  return {
    endpoint: endpointOf(env.HF_ENDPOINT || 'https://huggingface.co'),
    token: tokenOf(env),
    cache: hubCacheFolder(env),
    offline: TRUE.includes((env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE || '').toUpperCase()),
  }
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A name or a password in it would be repeated in messages.
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    throw badInput('it is no address of a Hub', {
      field: 'HF_ENDPOINT',
      expected: 'http:// or https:// with a host, without a name or a password',
    })
  return url.href.replace(/\/+$/, '')
}

function tokenOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const file = env.HF_TOKEN_PATH || join(hubHome(env), 'token')
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN
  const token = (given || (existsSync(file) ? readFileSync(file, 'utf8') : '')).trim()
  if (!token) return undefined
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw badInput('it is no token', {
    ...(given ? { field: 'HF_TOKEN' } : { file }),
    expected: 'letters, digits and signs on one line',
  })
}
