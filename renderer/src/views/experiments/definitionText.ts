import { isMap, parseDocument } from 'yaml'

/** The value at a path of a definition's YAML. */
export function valueAt(text: string, path: string): unknown {
  const value = parseDocument(text).getIn(path.split('.'))
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value
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
