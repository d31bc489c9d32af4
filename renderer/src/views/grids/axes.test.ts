import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { grid } from '#contract'
import { axisFields, FIRST_AXES, gridOver, valuesOf } from './axes'

const experiment = {
  name: 'small',
  definition: 'name: small\ncorpus: recipes\nteachers: [cook]\nstudent: { width: 16, layers: 1, heads: 2 }\n',
}
const field = (path: string) => axisFields(experiment.definition).find((one) => one.path === path)
const made = (axes: { path: string; text: string }[], taken: string[] = []) =>
  gridOver(experiment, axes, { seeds: [1, 2] }, taken)

describe('a grid of axes that are chosen', () => {
  it('has every axis with its values, and the experiment as it is', () => {
    const definition = made([...FIRST_AXES])!
    expect(grid.parse(parse(definition))).toMatchObject({
      name: 'small: strategy × lambda',
      base: parse(experiment.definition) as unknown,
      axes: { 'weighting.strategy': ['uniform', 'entropy'], 'loss.lambda': [0.25, 0.5, 0.75] },
      seeds: [1, 2],
    })
    const next = parse(made([...FIRST_AXES], ['small: strategy × lambda'])!) as { name: string }
    expect(next.name).toBe('small: strategy × lambda 2')
  })

  it('is none while an axis is not whole', () => {
    const lambda = { path: 'loss.lambda', text: '0.1, 0.9' }
    expect(made([])).toBeUndefined()
    expect(made([lambda, { path: 'loss.lambda', text: '0.5' }])).toBeUndefined()
    expect(made([lambda, { path: 'loss.tau', text: '' }])).toBeUndefined()
    expect(made([lambda, { path: 'no.such', text: '1' }])).toBeUndefined()
    expect(made([lambda])).toBeDefined()
  })

  it('takes numbers of numbers and choices of choices, each once', () => {
    expect(valuesOf(field('loss.tau'), '1, 2;2 4e0')).toEqual([1, 2, 4])
    expect(valuesOf(field('loss.tau'), '1, two')).toBeUndefined()
    expect(valuesOf(field('weighting.fusion'), 'geometric')).toEqual(['geometric'])
    expect(valuesOf(field('weighting.fusion'), 'median')).toBeUndefined()
    // Written as a number in the YAML, though it is chosen from a list.
    expect(valuesOf(field('loss.features.beta'), '1, alpha')).toEqual([1, 'alpha'])
  })

  it('offers what means something for the experiment, and no seed', () => {
    const paths = axisFields(experiment.definition).map(({ path }) => path)
    expect(paths).toContain('student.width')
    expect(paths).not.toContain('student.lora.rank')
    expect(paths).not.toContain('seed')
    expect(field('method')!.choices).not.toContain('as set below')
  })
})
