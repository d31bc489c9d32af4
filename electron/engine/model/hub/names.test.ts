import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hubNameText, parseHubName } from '#contract'
import { hubCacheFolder } from '../../../files'
import { hubSettings } from './settings'

describe('names of the Hub', () => {
  it.each(['hf:Qwen/Qwen2.5-0.5B', 'hf:a/b@refs/pr/1', 'hf:a_1/b-c.d@v1.0', `hf:a/b@${'0'.repeat(40)}`])(
    '%s is one',
    (text) => expect(hubNameText(parseHubName(text))).toBe(text),
  )

  it.each([
    'hf:',
    'hf:gpt2',
    'hf:a/b/c',
    'hf:../b',
    'hf:a/..',
    'hf:a/b..c',
    'hf:a/b--c',
    'hf:a/.b',
    'hf:a/b.git',
    'hf:a/b@',
    'hf:a/b@..',
    'hf:a/b@../../x',
    'hf:a/b@refs/../../x',
    'hf:a/b@/x',
    'hf:a/b@x//y',
    'hf:a/b@x y',
    'hf:a/b@x?y',
    'hf:a/b@x\\y',
    'hf:ä/b',
    'hf:a/b\n',
  ])('%j is none', (text) => expect(() => parseHubName(text)).toThrow('hf:ORG/NAME'))
})

describe('the environment', () => {
  it('says where the cache is, as it does to Python’s tools', () => {
    expect(hubCacheFolder({ HF_HUB_CACHE: '/c', HF_HOME: '/h' })).toBe('/c')
    expect(hubCacheFolder({ HF_HOME: '/h' })).toBe('/h/hub')
    expect(hubCacheFolder({ XDG_CACHE_HOME: '/x' })).toBe('/x/huggingface/hub')
    expect(hubCacheFolder({})).toMatch(/\.cache\/huggingface\/hub$/)
  })

  it('gives the token, else its file does; neither stands in a message', () => {
    const home = mkdtempSync(join(tmpdir(), 'retort-'))
    try {
      writeFileSync(join(home, 'token'), 'hf_file\n')
      expect(hubSettings({ HF_HOME: home }).token).toBe('hf_file')
      expect(hubSettings({ HF_HOME: home, HF_TOKEN: 'hf_env' }).token).toBe('hf_env')
      const refused = () => hubSettings({ HF_HOME: home, HF_TOKEN: 'hf_secret\nx: y' })
      expect(refused).toThrow(/^HF_TOKEN: it is no token/)
      expect(refused).not.toThrow(/secret/)
    } finally {
      rmSync(home, { recursive: true })
    }
  })

  it.each(['ftp://x', 'huggingface.co', 'https://user:secret@x'])('refuses the endpoint %s', (endpoint) =>
    expect(() => hubSettings({ HF_ENDPOINT: endpoint })).toThrow(/^HF_ENDPOINT: .*expected http/),
  )
})
