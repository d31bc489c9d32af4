import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { stringify } from 'yaml'
import {
  badInput,
  checkMethodLeaves,
  experiment,
  grid,
  nearest,
  parse,
  problemsOf,
  RetortError,
  type AxisValues,
  type Experiment,
  type ExperimentRow,
  type Grid,
  type Halving,
  type Problem,
} from '#contract'
import { evaluationMetrics } from '../comparison'
import { readPath, readYaml, setPath } from '../experiments'

/** More cells than this are a slip of the pen. */
const MOST_CELLS = 5000

/** A grid's definition with its base read in and its axes written out. */
export interface ExpandedGrid {
  grid: Grid
  /** YAML, the base inlined: what the library keeps. */
  definition: string
  axes: Record<string, unknown[]>
  cells: PlannedCell[]
}

export interface PlannedCell {
  axes: Record<string, unknown>
  seed: number
  experiment: Experiment
}

/**
 * Reads a grid and writes out its cells: every one is parsed, so that a wrong path or value is told before anything
 * is written.
 *
 * @param library where a base's name is looked up
 * @param file where the text is from: a base's path is relative to it
 * @throws bad-input naming the axis
 */
export function expandGrid(text: string, library: readonly ExperimentRow[], file?: string): ExpandedGrid {
  const raw = readYaml(text, file)
  const parsed = parse(grid, raw, file)
  const base = typeof parsed.base === 'string' ? readBase(parsed.base, library, file) : parsed.base
  checkPaths(parsed, file)
  checkSize(parsed, file)
  const axes = Object.fromEntries(
    Object.entries(parsed.axes).map(([path, values]) => [path, listValues(path, values, file)]),
  )
  const settings = product(axes).flatMap((setting) => parsed.seeds.map((seed) => ({ axes: setting, seed })))
  const cells = settings
    .filter((cell) => !parsed.skip.some((rule) => matches(rule, cell)))
    .map((cell) => ({ ...cell, experiment: cellExperiment(parsed.name, base, cell, file) }))
  if (!cells.length) throw badInput('every cell is left out', { file, field: 'skip' })
  if (parsed.halving) checkHalving(parsed.halving, cells, file)
  const definition = typeof parsed.base === 'string' ? stringify({ ...(raw as object), base }) : text
  return { grid: parsed, definition, axes, cells }
}

/** Every cell must be evaluated at every rung, or it could not be judged there. */
function checkHalving({ metric, minSteps }: Halving, cells: readonly PlannedCell[], file?: string): void {
  const judging = evaluationMetrics.filter(({ better }) => better !== 'neither').map(({ key }) => key)
  if (!judging.includes(metric)) {
    const expected = nearest(metric, judging) ?? `one of ${judging.join(', ')}`
    throw badInput(`nothing can be judged by "${metric}"`, { file, field: 'halving.metric', expected })
  }
  for (const {
    experiment: { evaluate, train },
  } of cells) {
    const field = 'halving.minSteps'
    if (!evaluate.every || minSteps % evaluate.every) {
      const expected = evaluate.every
        ? `a multiple of evaluate.every (${evaluate.every})`
        : 'evaluate.every above 0'
      throw badInput(`no evaluation at step ${minSteps}`, { file, field, expected })
    }
    if (minSteps >= train.steps)
      throw badInput(`step ${minSteps}`, { file, field, expected: `below train.steps (${train.steps})` })
    if (train.steps !== cells[0]!.experiment.train.steps) {
      const expected = 'no axis over train.steps: cells are judged at the same share of their schedule'
      throw badInput('cells of different lengths', { file, field: 'halving', expected })
    }
  }
}

/** A path beside the grid's file, or else a name of the library. */
function readBase(base: string, library: readonly ExperimentRow[], file?: string): Record<string, unknown> {
  const path = file === undefined ? undefined : resolve(dirname(file), base)
  if (path !== undefined && existsSync(path)) return readYaml(readFileSync(path, 'utf8'), path) as Base
  const known = library.find(({ id, name }) => id === base || name === base)
  if (known) return readYaml(known.definition) as Base
  throw badInput(`there is no file and no experiment of the library named "${base}"`, {
    file,
    field: 'base',
    expected: library.length ? `a file, or one of ${library.map(({ name }) => name).join(', ')}` : 'a file',
  })
}

type Base = Record<string, unknown>

/** Counted before anything is written out: a range has billions of values for a moment while it is typed. */
function checkSize({ axes, seeds }: Grid, file?: string): void {
  const expected = `at most ${MOST_CELLS}`
  let cells = seeds.length
  for (const [path, values] of Object.entries(axes)) {
    const count = countValues(values)
    if (count > MOST_CELLS) throw badInput(`${count} values`, { file, field: `axes.${path}`, expected })
    cells *= count
  }
  if (cells > MOST_CELLS) throw badInput(`${cells} cells`, { file, field: 'axes', expected })
}

function countValues(values: AxisValues): number {
  if (Array.isArray(values)) return values.length
  if ('logRange' in values) return values.logRange[2]
  const [from, to, step] = values.range
  // A step that divides the span in decimals may miss its end in binary.
  return Math.max(0, Math.floor((to - from) / step + 1e-9) + 1)
}

function listValues(path: string, values: AxisValues, file?: string): unknown[] {
  if (Array.isArray(values)) return values
  if ('range' in values) {
    const [from, to, step] = values.range
    if (to < from)
      throw badInput(`from ${from} to ${to}`, { file, field: `axes.${path}.range`, expected: 'from <= to' })
    return Array.from({ length: countValues(values) }, (_, i) => tidy(from + i * step))
  }
  const [from, to, count] = values.logRange
  return Array.from({ length: count }, (_, i) => tidy(from * (to / from) ** (i / (count - 1))))
}

/** 0.30000000000000004 is 0.3: twelve digits are more than any setting has. */
function tidy(value: number): number {
  return Number(value.toPrecision(12))
}

function checkPaths({ axes, skip }: Grid, file?: string): void {
  for (const path of Object.keys(axes)) {
    const field = `axes.${path}`
    if (path === 'seed' || path === 'name') {
      const expected = path === 'seed' ? '`seeds`' : 'no axis over names: they are made from the cells'
      throw badInput(`"${path}" is no axis`, { file, field, expected })
    }
    if (!readPath(path)) {
      throw badInput(`"${path}" is not a path`, { file, field, expected: 'a path, as in train.steps' })
    }
  }
  const known = [...Object.keys(axes), 'seed']
  for (const [i, rule] of skip.entries()) {
    const stray = Object.keys(rule).find((path) => !known.includes(path))
    if (stray === undefined && Object.keys(rule).length) continue
    throw badInput(
      stray === undefined ? 'the condition is empty' : `"${stray}" is not an axis of this grid`,
      {
        file,
        field: `skip.${i}`,
        expected: nearest(stray ?? '', known) ?? `one of ${known.join(', ')}`,
      },
    )
  }
}

/** All combinations, the last axis running fastest. */
function product(axes: Record<string, unknown[]>): Record<string, unknown>[] {
  return Object.entries(axes).reduce<Record<string, unknown>[]>(
    (settings, [path, values]) =>
      settings.flatMap((setting) => values.map((value) => ({ ...setting, [path]: value }))),
    [{}],
  )
}

function matches(
  rule: Record<string, unknown>,
  cell: { axes: Record<string, unknown>; seed: number },
): boolean {
  return Object.entries(rule).every(([path, wanted]) => {
    const value = path === 'seed' ? cell.seed : cell.axes[path]
    const same = (other: unknown) => JSON.stringify(other) === JSON.stringify(value)
    return same(wanted) || (Array.isArray(wanted) && wanted.some(same))
  })
}

function cellExperiment(
  gridName: string,
  base: Base,
  { axes, seed }: { axes: Record<string, unknown>; seed: number },
  file?: string,
): Experiment {
  const definition = structuredClone(base)
  for (const [path, value] of Object.entries(axes))
    setPath(definition, path.split('.'), structuredClone(value))
  definition.seed = seed
  definition.name = cellName(gridName, axes, seed)
  return blamingAxis(axes, file, () => {
    for (const path of Object.keys(axes)) checkMethodLeaves(definition, path)
    return parse(experiment, definition)
  })
}

/** Does it; a wrong field that an axis has set is told as that axis', with the value. */
export function blamingAxis<T>(axes: Record<string, unknown>, file: string | undefined, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof RetortError)) throw error
    const [first, ...others] = problemsOf(error).map((problem) => blame(axes, file, problem))
    throw new RetortError({ ...first!, others })
  }
}

function blame(axes: Record<string, unknown>, file: string | undefined, problem: Problem): Problem {
  const { field = '' } = problem
  const within = (a: string, b: string) => a === b || a.startsWith(`${b}.`)
  const path = Object.keys(axes).find((axis) => within(field, axis) || within(axis, field))
  const blamed = path === undefined ? 'base' : `axes.${path}`
  const value = path === undefined ? '' : `value ${JSON.stringify(axes[path])}: `
  const place = file === undefined ? blamed : `${file}: ${blamed}`
  return { ...problem, message: `${place}: ${value}${problem.message}`, file, field: blamed }
}

/** `grid: strategy=entropy, teachers=a+b, seed=1`, for lists and reports. */
function cellName(gridName: string, axes: Record<string, unknown>, seed: number): string {
  const parts = Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${shortValue(value)}`)
  return `${gridName}: ${[...parts, `seed=${seed}`].join(', ')}`.replaceAll(/[/\\]/g, '-').slice(0, 110)
}

function shortValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(shortValue).join('+') || 'none'
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.values(value).map(shortValue).join('/')
}
