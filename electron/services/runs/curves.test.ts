import { expect, it } from 'vitest'
import { drawCurves } from './curves'

const steps = Float64Array.from({ length: 10_000 }, (_, i) => i + 1)
const column = (value: (step: number) => number) => ({ steps, values: steps.map(value) })
const evaluations = { steps: Float64Array.of(0, 5000), values: Float64Array.of(NaN, 4) }
const metrics = {
  evaluations: [],
  columns: new Map([
    ['loss', column((step) => (step === 7777 ? 100 : 2))],
    ['alpha.0', column((step) => (step === 41 ? 1 : 0.5))],
    ['alpha.1', column((step) => (step === 99 ? 0 : 0.5))],
    ['heldOut.perplexity', evaluations],
  ]),
}

it('curves have their outliers, and teachers’ curves the same steps', () => {
  const drawn = drawCurves(metrics, { points: 200 })
  expect(Object.keys(drawn)).toEqual([...metrics.columns.keys()])
  expect(drawn['loss']!.steps.length).toBeLessThanOrEqual(200)
  expect(drawn['loss']!.values[drawn['loss']!.steps.indexOf(7777)]).toBe(100)
  expect(drawn['alpha.1']!.steps).toEqual(drawn['alpha.0']!.steps)
  expect(drawn['alpha.0']!.steps).toEqual(expect.arrayContaining([41, 99]))
  expect(drawn['heldOut.perplexity']).toEqual({ steps: [0, 5000], values: ['NaN', 4] })
})

it('a stretch of steps of some of them has all its points where they are few', () => {
  const drawn = drawCurves(metrics, { keys: ['loss', 'none'], from: 7700.5, to: 7800, points: 200 })
  expect(Object.keys(drawn)).toEqual(['loss'])
  expect(drawn['loss']!.steps).toEqual(Array.from({ length: 100 }, (_, i) => 7701 + i))
  expect(drawCurves(metrics, { from: 20_000, points: 200 })['loss']).toEqual({ steps: [], values: [] })
})
