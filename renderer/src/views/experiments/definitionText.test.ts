import { describe, expect, it } from 'vitest'
import { namesIn, valueAt, withValue } from './definitionText'

const text = `# mine
name: a # keep this
corpus: [{ name: x, weight: 2 }]
loss: { lambda: 0.5, features: false }
`

describe('the form and the YAML are one document', () => {
  it('reads values, lists and what is not there', () => {
    expect(valueAt(text, 'loss.lambda')).toBe(0.5)
    expect(valueAt(text, 'corpus')).toEqual([{ name: 'x', weight: 2 }])
    expect(valueAt(text, 'train.steps')).toBeUndefined()
  })

  it('sets a value and keeps comments and order', () => {
    const changed = withValue(text, 'loss.lambda', 0.9)
    expect(changed).toContain('# mine\nname: a # keep this\n')
    expect(valueAt(changed, 'loss.lambda')).toBe(0.9)
    expect(valueAt(withValue(changed, 'loss.lambda', undefined), 'loss.lambda')).toBeUndefined()
  })

  it('makes the groups that a path needs, also where a group was switched off', () => {
    expect(valueAt(withValue(text, 'train.steps', 50), 'train')).toEqual({ steps: 50 })
    expect(valueAt(withValue(text, 'loss.features.gamma', 0.2), 'loss')).toEqual({
      lambda: 0.5,
      features: { gamma: 0.2 },
    })
  })
})

describe('names to choose from', () => {
  it('mark what the library does not have, once it is there', () => {
    const known = [{ name: 'plays' }, { name: 'tales' }]
    expect(namesIn(known, ['tales', 'web'])).toEqual([
      { label: 'plays', value: 'plays' },
      { label: 'tales', value: 'tales' },
      { label: 'web (not in the library)', value: 'web' },
    ])
    expect(namesIn(undefined, ['web'])).toEqual([{ label: 'web', value: 'web' }])
  })
})
