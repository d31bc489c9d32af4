import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { parse, trainSource } from '#contract'
import { withValue } from './definitionText'
import { groups } from './form'
import { kindsOfSource, sourceGroup } from './sourceFields'

const text = 'name: e\ncorpus: plays\nteachers: [cook]\n'
const sourceOf = (definition: string) =>
  parse(trainSource, (parseYaml(definition) as { train?: { source?: object } }).train?.source ?? {})

describe('the form of a source', () => {
  it('shows what has a meaning for it', () => {
    expect(groups).toContain(sourceGroup)
    const shown = (definition: string) => {
      const kinds = kindsOfSource(definition) as (string | undefined)[]
      return sourceGroup.fields.filter(({ when }) => when === undefined || kinds.includes(when)).length
    }
    expect(shown(text)).toBe(1)
    const mixed = withValue(text, 'train.source.kind', 'mixed')
    expect(shown(mixed)).toBe(sourceGroup.fields.length)
    expect(shown(withValue(text, 'train.source.kind', 'student'))).toBe(sourceGroup.fields.length - 1)
    expect(shown('train: { source: student }')).toBe(1)
  })

  it('has a field for every setting, with the default of the schema', () => {
    const defaults = sourceOf(text)
    const paths = (group: object, at: string): string[] =>
      Object.entries(group).flatMap(([key, value]) =>
        typeof value === 'object' ? paths(value as object, `${at}.${key}`) : [`${at}.${key}`],
      )
    const settings = [...paths(defaults, 'train.source'), 'train.source.prompts.corpus']
    expect(sourceGroup.fields.map(({ path }) => path).sort()).toEqual(settings.sort())
    for (const { path, fallback } of sourceGroup.fields) {
      const own = path.split('.').slice(2)
      const value = own.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], defaults)
      expect(fallback, path).toBe(value)
    }
  })
})
