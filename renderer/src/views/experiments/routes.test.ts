import { expect, it } from 'vitest'
import { routesIn, routing } from './routes'
import { inForce } from './shownFields'

const text = `name: e # mine
corpus: [{ name: plays }, { name: v1.2 }]
teachers: [cook, clerk]
weighting: { strategy: routed, routes: { plays: cook, web: clerk } }
`

it('shows a route for each corpus, then those whose corpus is gone', () => {
  expect(routesIn(text)).toEqual([
    { corpus: 'plays', teacher: 'cook', stray: false },
    { corpus: 'v1.2', teacher: undefined, stray: false },
    { corpus: 'web', teacher: 'clerk', stray: true },
  ])
  expect(routesIn('corpus: plays')).toEqual([{ corpus: 'plays', teacher: undefined, stray: false }])
})

it('writes one and leaves the others and the comments alone, whatever the corpus is called', () => {
  const more = routing(routing(text, 'v1.2', 'clerk'), 'web', undefined)
  expect(routesIn(more).map(({ corpus, teacher }) => [corpus, teacher])).toEqual([
    ['plays', 'cook'],
    ['v1.2', 'clerk'],
  ])
  expect(more).toContain('# mine')
  const none = routing(routing(more, 'plays', undefined), 'v1.2', undefined)
  expect(none).not.toContain('routes')
  expect(inForce(none, 'weighting.strategy')).toBe('routed')
})
