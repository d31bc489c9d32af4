import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { clusterProfile } from '#contract'
import { clusterFields, problemsOf, readField, writeField } from './clusterDocument'

const field = (key: string) => clusterFields.find((one) => one.key === key)!

describe('a cluster profile as a form', () => {
  it('is a document that the contract takes, field by field', () => {
    const values = { name: 'lab', dataDir: '/shared/retort', command: 'node  cli.js', cpus: '4', time: '30' }
    let text = ''
    for (const [key, value] of Object.entries(values)) text = writeField(text, field(key), value)
    expect(problemsOf(text)).toEqual({})
    expect(clusterProfile.parse(parse(text))).toMatchObject({
      name: 'lab',
      command: ['node', 'cli.js'],
      cpus: 4,
      time: '30',
    })
    expect(readField(text, field('command'))).toBe('node cli.js')
    text = writeField(text, field('time'), ' ')
    expect(clusterProfile.parse(parse(text)).time).toBeUndefined()
  })

  it('keeps comments and the settings that it has no field for', () => {
    const text = '# ours\nname: lab\ndataDir: /d\nmodules: [node] # loaded first\n'
    expect(writeField(text, field('partition'), 'long')).toBe(`${text}partition: long\n`)
  })

  it('tells what is wrong where it is', () => {
    expect(problemsOf('')).toEqual({ name: 'has to be given', dataDir: 'has to be given' })
    expect(problemsOf('name: lab\ndataDir: here\ncpus: 0\nmemory: lots')).toMatchObject({
      dataDir: 'the path is absolute, as the cluster sees it',
      cpus: expect.any(String),
      memory: 'memory is a number and K, M, G or T, as in 4G',
    })
    expect(problemsOf('name: lab\ndataDir: /d\nhots: x')['']).toMatch(/hots/)
    expect(problemsOf('name: [')['']).toBeTruthy()
  })
})
