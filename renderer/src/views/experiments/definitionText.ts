import { isMap, isNode, isScalar, isSeq, parseDocument, type Document } from 'yaml'
import type { Problem } from '#contract'
import type { Fault } from '../../ui/yaml/editor'

/** The value at a path of a definition's YAML. */
export function valueAt(text: string, path: string): unknown {
  const value = parseDocument(text).getIn(path.split('.'))
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value
}

/** As `valueAt`; undefined where the text is not YAML. */
export function readAt(text: string, path: string): unknown {
  try {
    return valueAt(text, path)
  } catch {
    return undefined
  }
}

/**
 * Names to choose from: the library's, and those that a definition has but the library has not, which are marked.
 *
 * @param known undefined while the library is not there yet: then nothing is marked
 */
export function namesIn(
  known: readonly { name: string }[] | undefined,
  chosen: readonly string[],
): { label: string; value: string }[] {
  const there = new Set(known?.map(({ name }) => name))
  const strange = chosen.filter((name) => !there.has(name))
  return [
    ...[...there].map((name) => ({ label: name, value: name })),
    ...strange.map((name) => ({ label: known ? `${name} (not in the library)` : name, value: name })),
  ]
}

/** The same YAML with one value set or, with undefined, left out; comments and order stay. */
export function withValue(text: string, path: string, value: unknown): string {
  const document = parseDocument(text)
  const keys = path.split('.')
  if (value === undefined) {
    document.deleteIn(keys)
    // A group that says nothing more goes too: `continue: {}` would name no run.
    for (let i = keys.length - 1; i > 0 && isEmpty(document.getIn(keys.slice(0, i))); i--)
      document.deleteIn(keys.slice(0, i))
  } else {
    // `features: false` has no gamma: it becomes a group again.
    for (let i = 1; i < keys.length; i++) {
      const inner = document.getIn(keys.slice(0, i))
      if (inner === undefined || inner === null || typeof inner !== 'object')
        document.setIn(keys.slice(0, i), document.createNode({}))
    }
    document.setIn(keys, typeof value === 'object' ? document.createNode(value, { flow: true }) : value)
  }
  return document.toString({ lineWidth: 0 })
}

const isEmpty = (group: unknown): boolean => isMap(group) && !group.items.length

/**
 * Where a path stands in the text, from its key's first character to behind its value's last; of a path that is not there
 * what is nearest around it. Without a path: where the text ceases to be YAML.
 */
export function placeOf(text: string, path?: string): [from: number, to: number] | undefined {
  const document = parseDocument(text)
  if (path === undefined) return document.errors[0]?.pos
  const keys = path.split('.')
  for (let length = keys.length; length > 0; length--) {
    const found = rangeOf(document, keys.slice(0, length))
    if (found) return found
  }
  return undefined
}

/** Where in the text each problem stands, for an editor to mark; one without a place is at its first line. */
export function marksOf(problems: readonly Problem[], text: string): Fault[] {
  return problems.map(({ message, field }) => {
    const [from, to] = placeOf(text, field) ?? [0, 0]
    return { from, to, message }
  })
}

function rangeOf(document: Document, keys: readonly string[]): [number, number] | undefined {
  const group = keys.length === 1 ? document.contents : document.getIn(keys.slice(0, -1), true)
  const last = keys.at(-1)!
  if (isSeq(group)) {
    const item = group.items[Number(last)]
    return isNode(item) && item.range ? [item.range[0], item.range[1]] : undefined
  }
  const pair = isMap(group)
    ? group.items.find(({ key }) => isScalar(key) && String(key.value) === last)
    : undefined
  if (!pair || !isScalar(pair.key) || !pair.key.range) return undefined
  const value = isNode(pair.value) ? pair.value.range : undefined
  return [pair.key.range[0], value?.[1] ?? pair.key.range[1]]
}
