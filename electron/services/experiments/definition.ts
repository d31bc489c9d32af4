import { isAlias, isCollection, LineCounter, parseDocument } from 'yaml'
import {
  badInput,
  experiment,
  parse,
  teacherDefinition,
  type Experiment,
  type TeacherDefinition,
} from '#contract'

/** A definition as written: YAML, of which JSON is a part. */
export function readYaml(text: string, file?: string): unknown {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const error = document.errors[0]
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    const what = error.message.split(/ at line \d+/)[0]!
    throw badInput(`line ${line}, column ${col}: ${what}`, { file, expected: 'YAML' })
  }
  return document.toJS()
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

/** Sets what lies at a path of a definition; what is missing on the way, or is no object, becomes one. */
export function setPath(definition: unknown, path: readonly string[], value: unknown): void {
  let target = definition as Record<string, unknown>
  for (const key of path.slice(0, -1)) {
    const next = target[key]
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
  const path = setting.slice(0, at).split('.')
  if (at < 1 || path.some((key) => !key)) {
    throw badInput(`"${setting}" is not a setting`, {
      field: '--set',
      expected: 'path=value, as in train.steps=50',
    })
  }
  return { path, value: readYaml(setting.slice(at + 1), '--set') }
}
