import { z } from 'zod'

interface Node {
  type?: string
  anyOf?: Node[]
  allOf?: Node[]
  properties?: Record<string, Node>
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
  let root = schemas.get(schema)
  if (!root)
    schemas.set(schema, (root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Node))
  let nodes: Node[] = branches(root)
  for (const key of path.split('.'))
    nodes = nodes.flatMap(({ properties }) => {
      const next = properties && Object.hasOwn(properties, key) ? properties[key] : undefined
      return next ? branches(next) : []
    })
  const number = nodes.find(({ type }) => type === 'number' || type === 'integer')
  return number && inWords(number)
}

const branches = (node: Node): Node[] => [
  node,
  ...[...(node.anyOf ?? []), ...(node.allOf ?? [])].flatMap(branches),
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
