import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { badInput, gridPreset, notFound, parse, type AxisValues, type Grid, type GridPreset } from '#contract'
import { parseExperiment, readYaml, resource } from '../experiments'

/** The named ablations of METHOD.md that come with Retort, by name. */
export function listPresets(): GridPreset[] {
  const folder = dirname(resource('presets/teacher-count.yaml'))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => {
      const file = join(folder, name)
      return parse(gridPreset, readYaml(readFileSync(file, 'utf8'), file), file)
    })
}

/** The grid that a preset makes of an experiment, as YAML. */
export function presetGrid(
  name: string,
  experiment: { name: string; definition: string },
  options: Partial<Pick<Grid, 'name' | 'seeds' | 'halving'>> = {},
): string {
  const presets = listPresets()
  const preset = presets.find((row) => row.name === name)
  if (!preset) {
    throw notFound(
      'preset',
      name,
      presets.map((row) => row.name),
    )
  }
  const { teachers, weighting } = parseExperiment(experiment.definition)
  // Only who knows the teachers can route to them: a preset does not.
  const possible = (values: AxisValues) =>
    Array.isArray(values) && !weighting.routes ? values.filter((value) => value !== 'mopd') : values
  const axes = Object.fromEntries(
    Object.entries(preset.axes).map(([path, values]) => [
      path,
      'counts' in values
        ? teacherCounts(values.counts, teachers, experiment.name)
        : possible(values as AxisValues),
    ]),
  )
  return stringify({
    name: options.name ?? `${experiment.name} ${preset.name}`.slice(0, 100),
    base: readYaml(experiment.definition),
    axes,
    seeds: options.seeds ?? preset.seeds,
    skip: preset.skip,
    ...(options.halving && { halving: options.halving }),
  })
}

/** The first n of the experiment's teachers, for every n that it has. */
function teacherCounts<T>(counts: number[], teachers: T[], experiment: string): T[][] {
  const possible = counts.filter((n) => n <= teachers.length)
  if (possible.length > 1) return possible.map((n) => teachers.slice(0, n))
  throw badInput(`experiment "${experiment}" has ${teachers.length} teachers`, {
    field: 'teachers',
    expected: 'two or more: their number is what this ablation varies',
  })
}
