import { expect, it } from 'vitest'
import { experiment } from '#contract'
import { changesOf } from './changes'

const base = {
  name: 'a',
  corpus: 'plays',
  student: { width: 16, layers: 1, heads: 2 },
  teachers: ['t', 'u'],
  tokenizer: 'tok',
}
const changes = (more: object) => changesOf(experiment.parse({ ...base, ...more }))

it('what says nothing more than it must differs in nothing', () => {
  expect(changes({})).toEqual([])
})

it('names each setting with its value and its default; what is written as the default is none', () => {
  const { lambda } = experiment.parse(base).loss
  const found = changes({ loss: { lambda: lambda / 2, tau: experiment.parse(base).loss.tau }, seed: 7 })
  expect(found).toEqual([
    { path: 'loss.lambda', own: String(lambda / 2), usual: String(lambda) },
    { path: 'seed', own: '7', usual: String(experiment.parse(base).seed) },
  ])
})

it('a group that is turned off is one change', () => {
  const found = changes({ loss: { features: false } })
  expect(found.map(({ path, own }) => [path, own])).toEqual([['loss.features', 'false']])
})

it('of a method what differs from the method', () => {
  const found = changes({ method: 'distilbert' })
  expect(found).toEqual([])
  expect(changes({ method: 'distilbert', seed: 9 }).map(({ path }) => path)).toEqual(['seed'])
})
