import { describe, expect, it } from 'vitest'
import type { Field } from './field'
import { groups } from './form'
import { fieldsOf, isChanged, isSet, settingOf } from './shownFields'

const all = groups.flatMap(({ fields }) => fields)
const field = (path: string): Field => all.find((one) => one.path === path)!

describe('what the form shows of a definition', () => {
  it('marks what is not the default, and nothing that merely says it', () => {
    const text = 'loss: { lambda: 0.5, tau: 2, features: { beta: 1 } }\nstudent: { width: 64 }\n'
    const changed = all.filter((one) => isChanged(one, text)).map(({ path }) => path)
    expect(changed).toEqual(['loss.tau'])
    expect(isChanged(field('loss.tau'), 'loss: [')).toBe(false)
  })

  it('tells what is set from what is not, also of fields without a default', () => {
    const set = all.filter((one) => isSet(one, 'continue: { run: cook-1 }\nloss: { lambda: 0.5 }\n'))
    expect(set.map(({ path }) => path)).toEqual(['continue.run'])
    expect(isChanged(field('continue.run'), 'continue: { run: cook-1 }')).toBe(false)
  })

  it('says that features weigh nothing where they are switched off', () => {
    const gamma = field('loss.features.gamma')
    expect(settingOf(gamma, 'loss: { features: false }')).toBe(0)
    expect(isChanged(gamma, 'loss: { features: false }')).toBe(true)
    expect(settingOf(gamma, 'loss: { features: { gamma: 0.3 } }')).toBe(0.3)
    expect(isChanged(gamma, 'loss: { lambda: 1 }')).toBe(false)
  })

  it('leaves out what means nothing', () => {
    const paths = (text: string) => groups.flatMap((group) => fieldsOf(group, text)).map(({ path }) => path)
    expect(paths('student: { from: cook }')).not.toContain('student.width')
    expect(paths('student: { width: 8 }')).toContain('student.width')
    expect(paths('student: { width: 8 }')).not.toContain('weighting.routes')
    expect(paths('corpus: a')).not.toContain('train.mixture.by')
    expect(paths('corpus: [a, b]')).toContain('train.mixture.by')
    expect(paths('loss: { objective: jsd }')).toContain('loss.beta')
    expect(paths('weighting: { strategy: routed }')).toContain('weighting.routes')
    expect(paths('method: uniform\nweighting: { strategy: routed }')).not.toContain('weighting.routes')
    // A method says so too, against what is written.
    expect(paths('method: jsd\nloss: { objective: top-k }')).toContain('loss.beta')
    expect(paths('method: jsd\nloss: { objective: top-k }')).not.toContain('loss.topK')
  })
})
