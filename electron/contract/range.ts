import { z } from 'zod'

interface Node {
  type?: string
  anyOf?: Node[]
  allOf?: Node[]
  items?: Node
  properties?: Record<string, Node>
  enum?: unknown[]
  const?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
}

const schemas = new WeakMap<z.ZodType, Node>()

/**
 * What a number at a path may be, as the schema has it, in words: "0 to 1", "whole, from 1", "above 0".
 *
 * @returns undefined where no number has its place, or any
 */
export function rangeAt(schema: z.ZodType, path: string): string | undefined {
  const number = nodesAt(schema, path.split('.')).find(({ type }) => type === 'number' || type === 'integer')
  return number && inWords(number)
}

/** The keys that a schema knows at a path, lists passed through: those of their items. */
export function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  return [...new Set(nodesAt(schema, path).flatMap(({ properties }) => Object.keys(properties ?? {})))]
}

/** The words that a schema accepts at a path, lists passed through; none where anything of a type is accepted. */
export function wordsAt(schema: z.ZodType, path: readonly string[]): string[] {
  const words = nodesAt(schema, path).flatMap(({ type, enum: named, const: one }) =>
    one !== undefined ? [one] : (named ?? (type === 'boolean' ? [true, false] : [])),
  )
  return [...new Set(words.map(String))]
}

/** Whether a schema has a group at a path and nothing else: no word, no number. */
export function isGroupAt(schema: z.ZodType, path: readonly string[]): boolean {
  const types = nodesAt(schema, path).map(({ type }) => type)
  return types.includes('object') && !types.some((type) => type && !['object', 'array'].includes(type))
}

function nodesAt(schema: z.ZodType, path: readonly string[]): Node[] {
  let root = schemas.get(schema)
  if (!root)
    schemas.set(schema, (root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Node))
  let nodes: Node[] = branches(root)
  for (const key of path)
    nodes = nodes.flatMap(({ properties }) => {
      const next = properties && Object.hasOwn(properties, key) ? properties[key] : undefined
      return next ? branches(next) : []
    })
  return nodes
}

const branches = (node: Node): Node[] => [
  node,
  ...[...(node.anyOf ?? []), ...(node.allOf ?? []), ...(node.items ? [node.items] : [])].flatMap(branches),
]

function inWords({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Node): string | undefined {
  const whole = type === 'integer'
  // Of whole numbers the bound that is left out is one further.
  const least = minimum ?? (whole && exclusiveMinimum !== undefined ? exclusiveMinimum + 1 : undefined)
  const bounded = (bound: number | undefined) =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER
  const low = bounded(least) ? `${least}` : bounded(exclusiveMinimum) ? `above ${exclusiveMinimum}` : ''
  const high = bounded(maximum) ? `${maximum}` : bounded(exclusiveMaximum) ? `below ${exclusiveMaximum}` : ''
  const range =
    low && high
      ? `${low} to ${high}`
      : low
        ? low.startsWith('above')
          ? low
          : `from ${low}`
        : high && `to ${high}`
  return [whole && 'whole', range].filter(Boolean).join(', ') || undefined
}
