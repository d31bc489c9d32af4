import { badInput } from './errors'
import { isRecord, valueAt } from './record'

/** The rows of the paper's Table 1, and the reference points of the field: on text, and on what the student writes. */
export const tableMethods = [
  'cross-entropy',
  'single-teacher',
  'distilbert',
  'tinybert',
  'mobilebert',
  'uniform',
  'proposed',
  'reverse-kl',
  'jsd',
  'top-k',
  'gkd',
  'opd',
  'mopd',
  'entropy-opd',
] as const
export type TableMethod = (typeof tableMethods)[number]

type Settings = Record<string, unknown>

/** Knowledge distillation from the mean of the teachers, the ground on which the rows differ. */
const MEAN: Settings = {
  'weighting.strategy': 'uniform',
  'loss.objective': 'forward-kl',
  'loss.conflict': 'none',
}
const PLAIN: Settings = { ...MEAN, 'loss.features': false }

/** On what the student writes, where there is nothing but the teachers to learn from. */
const OWN_TEXT: Settings = { ...PLAIN, 'loss.lambda': 1, 'train.source.kind': 'student' }

/** Rows that align features take gamma and beta from the definition. */
const aligned = (settings: Settings): Settings =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [`loss.features.${key}`, value]))

/** The settings that make a method what it is, by path (METHOD: methods to compare). */
export const methodSettings: Record<TableMethod, Settings> = {
  'cross-entropy': { ...PLAIN, 'loss.lambda': 0, 'train.source.kind': 'corpus' },
  'single-teacher': PLAIN,
  distilbert: {
    ...MEAN,
    ...aligned({ layers: 'last', distance: 'cosine', embedding: false, attention: 'none', first: 0 }),
    'student.init': 'teacher',
  },
  tinybert: {
    ...MEAN,
    ...aligned({ layers: 'uniform', distance: 'mse', embedding: true, attention: 'mse', first: 0.5 }),
    'loss.lambda': 1,
  },
  mobilebert: {
    ...MEAN,
    ...aligned({ layers: 'uniform', distance: 'mse', embedding: false, attention: 'kl', first: 0 }),
  },
  uniform: PLAIN,
  proposed: {
    'weighting.strategy': 'entropy',
    'weighting.granularity': 'token',
    'weighting.fusion': 'arithmetic',
    'loss.objective': 'forward-kl',
    'loss.conflict': 'none',
    ...aligned({ distance: 'mse', embedding: false, attention: 'none', first: 0 }),
  },
  'reverse-kl': { ...PLAIN, 'loss.objective': 'reverse-kl' },
  jsd: { ...PLAIN, 'loss.objective': 'jsd' },
  'top-k': { ...PLAIN, 'loss.objective': 'top-k' },
  /** Generalised knowledge distillation (Agarwal et al. 2024, arXiv 2306.13649), from the teachers' mean. */
  gkd: { ...OWN_TEXT, 'loss.objective': 'jsd', 'train.source.kind': 'mixed' },
  /** On-policy distillation as the field's trainers have it: reverse KL on the student's text, from the teachers' mean. */
  opd: { ...OWN_TEXT, 'loss.objective': 'reverse-kl' },
  /** The same from several teachers as they have it: each corpus' prompts go to one (`weighting.routes`). */
  mopd: { ...OWN_TEXT, 'loss.objective': 'reverse-kl', 'weighting.strategy': 'routed' },
  /** The same with the paper's weights, token by token. */
  'entropy-opd': {
    ...OWN_TEXT,
    'loss.objective': 'reverse-kl',
    'weighting.strategy': 'entropy',
    'weighting.granularity': 'token',
    'weighting.fusion': 'arithmetic',
  },
}

/**
 * A definition with the settings of its `method` filled in over what is written; without one, or where it is not one
 * that exists, as it is. Applying it again changes nothing.
 */
export function applyMethod(definition: unknown): unknown {
  if (!isRecord(definition)) return definition
  const method = tableMethods.find((known) => known === definition.method)
  if (!method) return definition
  const result: Settings = { ...definition }
  for (const [path, value] of Object.entries(methodSettings[method])) set(result, path.split('.'), value)
  if (method === 'single-teacher' && Array.isArray(result.teachers))
    result.teachers = result.teachers.slice(0, 1)
  return result
}

/**
 * What is set on top of a definition (an axis' value, `--set`) is refused where the definition's method says otherwise:
 * its settings are filled in over all others, so that the value would change nothing, and cells would differ in name alone.
 *
 * @param definition with the value in it
 * @throws bad-input naming the path
 */
export function checkMethodLeaves(definition: unknown, path: string): void {
  if (!isRecord(definition) || path === 'method') return
  const applied = applyMethod(definition)
  if (applied === definition) return
  const method = definition.method as TableMethod
  const fixed = [...Object.keys(methodSettings[method]), ...(method === 'single-teacher' ? ['teachers'] : [])]
  const within = (one: string, other: string) => one === other || one.startsWith(`${other}.`)
  for (const name of fixed.filter((one) => within(one, path) || within(path, one))) {
    const [given, said] = [definition, applied].map((from) => JSON.stringify(valueAt(from, name)))
    if (given === undefined || given === said) continue
    const what = name === path ? given : `${name} ${given}`
    throw badInput(`${what} changes nothing under method "${method}", which says ${said}`, {
      field: path,
      expected: `another method, or none`,
    })
  }
}

function set(group: Settings, [key, ...rest]: string[], value: unknown): void {
  if (!rest.length) group[key!] = value
  else {
    const inner: Settings = isRecord(group[key!]) ? { ...(group[key!] as Settings) } : {}
    set(inner, rest, value)
    group[key!] = inner
  }
}
