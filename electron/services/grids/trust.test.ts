import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RetortError } from '#contract'
import { overrideText, readYaml, setPath } from '../experiments'
import { expandGrid } from './definition'

const base = '{ name: one, corpus: plays, student: { width: 8, layers: 1, heads: 2 }, teachers: [t] }'
const gridOf = (axes: string) => `name: g\nbase: ${base}\naxes: { ${axes} }\n`

function refusal(act: () => unknown): RetortError {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(RetortError)
    const refused = error as RetortError
    expect(refused.code).toBe('bad-input')

    expect(refused.message).not.toMatch(
      /[\x00-\x1f\x7f]|Invalid input|received undefined|Unexpected|call stack/,
    )
    return refused
  }
  throw new Error('it was let in')
}

describe('a grid that somebody types', () => {
  it.each([
    ['train.learningRate: { logRange: [0.0001, 0.01, 2147483648] }', 'axes.train.learningRate'],
    ['train.learningRate: { range: [0, 1, 1.0e-9] }', 'axes.train.learningRate'],
    ['train.learningRate: { range: [0, 1.0e+300, 1.0e-300] }', 'axes.train.learningRate'],
    [['steps', 'batch', 'context', 'warmup'].map((k) => `train.${k}: { range: [1, 100, 1] }`).join(), 'axes'],
    ['"__proto__.polluted": [1, 2]', 'axes.__proto__.polluted'],
    ['constructor.prototype.polluted: [1, 2]', 'axes.constructor.prototype.polluted'],
    ['train.__proto__: [{ steps: 1 }]', 'axes.train.__proto__'],
    ['"train..steps": [1]', 'axes.train..steps'],
  ])('is refused before it is written out: %s', (axes, field) => {
    const refused = refusal(() => expandGrid(gridOf(axes), [], 'grid.yaml'))
    expect(refused).toMatchObject({ file: 'grid.yaml', field })
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('a path from outside', () => {
  it('never leads out of the definition', () => {
    expect(refusal(() => overrideText('name: a', ['__proto__.backend=cpu'])).field).toBe('--set')
    const definition: Record<string, unknown> = {}
    setPath(definition, ['toString', 'call'], 1)
    expect(Object.hasOwn(definition, 'toString')).toBe(true)
    expect(typeof Function.prototype.call).toBe('function')
  })
})

describe('YAML that means harm, or a slip', () => {
  it.each([
    ['a: *x', 'line 1, column 4'],
    ['a: 1\nb: 2\na: 3', 'line 3, column 1'],
    ['a: 1\nb: { c: 1, c: 2 }', 'line 2, column 12'],
    ['a: [1] [2]', 'line 1, column 8: this does not belong here'],
    ['a: 1\n{ b: 1 }: 2', 'line 2, column 1: this key is a list or a group'],
    ['a: { [b]: 1 }', 'line 1, column 6: this key is a list or a group'],
  ])('is refused with its place: %s', (text, place) => {
    expect(refusal(() => readYaml(text, 'x.yaml')).message).toContain(`x.yaml: ${place}`)
  })

  it('that names a map, a list or a value once and repeats it is what it says', () => {
    const text = 'a: &a { b: 1 }\nc: *a\nd: &d [1, 2]\ne: [*d, *a]\nf: &f 3\ng: { h: *f }'
    const [a, d] = [{ b: 1 }, [1, 2]]
    expect(readYaml(text)).toEqual({ a, c: a, d, e: [d, a], f: 3, g: { h: 3 } })
    const demo = join(import.meta.dirname, '../../../resources/demo')
    for (const name of readdirSync(demo).filter((file) => file.endsWith('.yaml')))
      expect(readYaml(readFileSync(join(demo, name), 'utf8'), name)).toHaveProperty('teachers')
  })

  it('that is nested without end is refused as that', () => {
    for (const text of [`a: ${'['.repeat(9000)}`, '- '.repeat(9000), `a: ${'{"a":'.repeat(9000)}`])
      expect(refusal(() => readYaml(text, 'x.yaml')).message).toMatch(
        /^x\.yaml: (line 1, column \d+: )?it is nested too deeply/,
      )
  })

  it('of many keys is read in a time that grows with them, and one that is no definition is refused by its size', () => {
    const keys = (count: number) => Array.from({ length: count }, (_, i) => `key${i}: ${i}`).join('\n')
    expect(Object.keys(readYaml(keys(40_000)) as object)).toHaveLength(40_000)
    expect(refusal(() => readYaml(keys(200_000), 'x.yaml')).message).toContain('a definition of at most')
  }, 20_000)

  const faults = join(import.meta.dirname, '../../../../shared/faults/trust')
  const files = existsSync(faults) ? readdirSync(faults).filter((name) => name.endsWith('.yaml')) : []
  if (!files.length) console.warn('SKIPPED: ../shared/faults/trust is not here')
  it.skipIf(!files.length).each(files.map((name) => [name]))('%s is refused with its file', (name) => {
    const file = join(faults, name)
    const refused = refusal(() => expandGrid(readFileSync(file, 'utf8'), [], file))
    expect(refused.file).toBe(file)
  })
})
