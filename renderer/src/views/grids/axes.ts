import { parse, stringify } from 'yaml'
import type { Field } from '../experiments/field'
import { groups, UNSET } from '../experiments/form'
import { fieldsOf } from '../experiments/shownFields'

/** An axis of a grid as it is written down: a setting, and its values with commas between them. */
export interface Axis {
  path: string
  text: string
}

/** Of the first grid that somebody makes: two axes of three values and two. */
export const FIRST_AXES: readonly Axis[] = [
  { path: 'weighting.strategy', text: 'uniform, entropy' },
  { path: 'loss.lambda', text: '0.25, 0.5, 0.75' },
]

export type AxisField = Field & { group: string }

/** The settings of an experiment that can be an axis: numbers and choices. Seeds repeat a setting and are none. */
export function axisFields(definition: string): AxisField[] {
  return groups.flatMap((group) =>
    fieldsOf(group, definition)
      .filter(({ kind, path }) => (kind === 'number' || kind === 'choice') && path !== 'seed')
      .map((field) => ({
        ...field,
        choices: field.choices?.filter((choice) => choice !== UNSET),
        group: group.title,
      })),
  )
}

export const wordsOf = (text: string): string[] => text.split(/[\s,;]+/).filter(Boolean)

/** The values of an axis, each once; undefined where one of them is none, or there is none. */
export function valuesOf(field: Field | undefined, text: string): (string | number)[] | undefined {
  const words = wordsOf(text)
  const values = words.map((word) => (Number.isFinite(Number(word)) ? Number(word) : word))
  const fits = (value: string | number) =>
    field?.kind === 'number' ? typeof value === 'number' : field?.choices?.includes(String(value))
  return words.length && values.every(fits) ? [...new Set(values)] : undefined
}

/**
 * A grid of an experiment over axes, as the command line reads it too.
 *
 * @param taken names of grids that are there
 * @returns undefined while an axis has no values, or two have one setting
 */
export function gridOver(
  experiment: { name: string; definition: string },
  axes: readonly Axis[],
  more: { seeds: readonly number[]; halving?: { minSteps: number } },
  taken: readonly string[],
): string | undefined {
  const fields = axisFields(experiment.definition)
  const entries = axes.map(({ path, text }) => {
    const field = fields.find((one) => one.path === path)
    return [path, valuesOf(field, text)] as const
  })
  const paths = new Set(axes.map(({ path }) => path))
  if (!axes.length || paths.size < axes.length || entries.some(([, values]) => !values)) return undefined
  const by = axes.map(({ path }) => path.split('.').at(-1)).join(' × ')
  const name = `${experiment.name}: ${by}`.slice(0, 100)
  let free = name
  for (let n = 2; taken.includes(free); n++) free = `${name} ${n}`
  return stringify({
    name: free,
    base: parse(experiment.definition) as unknown,
    axes: Object.fromEntries(entries),
    ...more,
  })
}
