import { isAlias, isCollection, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import {
  badInput,
  experiment,
  parse,
  teacherDefinition,
  type Experiment,
  type TeacherDefinition,
} from '#contract'

/** Characters of a definition; a file that is longer was picked by mistake. */
const LONGEST = 2 ** 20

/** What the parser finds, by its own names for it, as a person would say it. */
const FOUND: Record<string, string> = {
  BAD_ALIAS: 'this alias cannot be read',
  BAD_DQ_ESCAPE: 'there is no such character after a backslash',
  BAD_INDENT: 'it is not indented as what is around it',
  BAD_SCALAR_START: 'a text that begins with this sign needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a list or a map within a line needs brackets',
  MISSING_CHAR: 'a bracket, a quote, a colon or a comma is missing',
  MULTIPLE_DOCS: 'a second document begins',
  MULTILINE_IMPLICIT_KEY: 'a key is on one line',
  RESOURCE_EXHAUSTION: 'it is nested too deeply',
  TAB_AS_INDENT: 'lines are indented by blanks, not by tabs',
  TAG_RESOLVE_FAILED: 'there is no such tag',
}

/** A parser that calls itself for each level ends at some thousands of them. */
const isTooDeep = ({ message }: Error) => message.includes('call stack')

/**
 * A definition as written: YAML, of which JSON is a part.
 *
 * @throws bad-input naming line and column
 */
export function readYaml(text: string, file?: string): unknown {
  if (text.length > LONGEST)
    throw badInput(`${text.length} characters`, { file, expected: `a definition of at most ${LONGEST}` })
  const lines = new LineCounter()
  // Its own look for keys that come twice takes the square of their number.
  const document = unlessTooDeep(file, () => parseDocument(text, { lineCounter: lines, uniqueKeys: false }))
  const refuse = (at: number, what: string) => {
    const { line, col } = lines.linePos(at)
    return badInput(`line ${line}, column ${col}: ${what}`, { file, expected: 'YAML' })
  }
  const error = document.errors[0]
  if (error && isTooDeep(error)) throw refuse(error.pos[0], FOUND.RESOURCE_EXHAUSTION!)
  if (error) throw refuse(error.pos[0], FOUND[error.code] ?? 'this does not belong here')
  const anchors = new Set<string>()
  const look = () =>
    visit(document, {
      Value: (_, node) => {
        if (node.anchor) anchors.add(node.anchor)
        const seen = new Set<unknown>()
        for (const { key } of isMap(node) ? node.items : []) {
          // No object has such a key; the parser would make a text of it, and warn the whole process.
          if (isCollection(key)) throw refuse(key.range?.[0] ?? 0, 'this key is a list or a group')
          if (!isScalar(key)) continue
          if (seen.has(key.value))
            throw refuse(key.range?.[0] ?? 0, `the key "${String(key.value)}" comes twice`)
          seen.add(key.value)
        }
      },
      Alias: (_, { source, range }) => {
        if (!anchors.has(source))
          throw refuse(range?.[0] ?? 0, `no anchor "${source}" stands before this alias`)
      },
    })
  unlessTooDeep(file, look)
  try {
    return document.toJS()
  } catch {
    // An alias of aliases of aliases, say.
    throw badInput('its aliases stand for more than a definition holds', { file, expected: 'YAML' })
  }
}

function unlessTooDeep<T>(file: string | undefined, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw badInput(FOUND.RESOURCE_EXHAUSTION!, { file, expected: 'YAML' })
  }
}

export function parseExperiment(text: string, file?: string): Experiment {
  return parse(experiment, readYaml(text, file), file)
}

export function parseTeacher(text: string, file?: string): TeacherDefinition {
  return parse(teacherDefinition, readYaml(text, file), file)
}

/** Overrides one path of a definition before it is parsed: `train.steps=50`. The value is YAML. */
export function override(definition: unknown, setting: string): void {
  const { path, value } = readSetting(setting)
  setPath(definition, path, value)
}

/** Names that lead from a plain object to what all objects share. */
const INHERITED = ['__proto__', 'constructor', 'prototype']

/**
 * The steps of a path like `train.steps`; undefined when it is none, or leads out of the definition. Paths come from
 * outside: every one is read here.
 */
export function readPath(path: string): string[] | undefined {
  const keys = path.split('.')
  return keys.some((key) => !key || INHERITED.includes(key)) ? undefined : keys
}

/** Sets what lies at a path of a definition (`readPath`); what is missing on the way, or is no object, becomes one. */
export function setPath(definition: unknown, path: readonly string[], value: unknown): void {
  let target = definition as Record<string, unknown>
  for (const key of path.slice(0, -1)) {
    const next = Object.hasOwn(target, key) ? target[key] : undefined
    if (typeof next !== 'object' || next === null) target[key] = {}
    target = target[key] as Record<string, unknown>
  }
  target[path.at(-1)!] = value
}

/** As `override`, in the text of a definition: comments and order stay. */
export function overrideText(text: string, settings: readonly string[]): string {
  const document = parseDocument(text)
  for (const { path, value } of settings.map(readSetting)) {
    for (let i = 1; i < path.length; i++) {
      const outer = path.slice(0, i)
      const node = document.getIn(outer, true)
      if (isCollection(node)) continue
      document.setIn(outer, document.createNode(isAlias(node) ? node.toJS(document) : {}))
    }
    document.setIn(path, document.createNode(value, { flow: true }))
  }
  return document.toString({ lineWidth: 0 })
}

/** @throws bad-input when there is no `=` */
function readSetting(setting: string): { path: string[]; value: unknown } {
  const at = setting.indexOf('=')
  const path = at < 1 ? undefined : readPath(setting.slice(0, at))
  if (!path) {
    throw badInput(`"${setting}" is not a setting`, {
      field: '--set',
      expected: 'path=value, as in train.steps=50',
    })
  }
  return { path, value: readYaml(setting.slice(at + 1), '--set') }
}
