import { weightShapes, type ModelConfig } from '#contract'
import type { Link } from './families/family'
import type { Stored, Weights, Weight } from './weights'

/** Our weights from tensors that other tools have. */
export function toOurs(config: ModelConfig, { ours, transposed, heads }: Link, theirs: Weight[]): Weights {
  const shapes = weightShapes(config)
  const turned = transposed ? theirs.map(transpose) : theirs
  if (ours.length === 1 && turned.length === 1) return new Map([[ours[0]!, turned[0]!]])
  const half = commonHalf(turned)
  let data = joined(turned)
  if (heads) data = regrouped(data, heads, ours.length)
  const weights: Weights = new Map()
  let at = 0
  for (const name of ours) {
    const shape = shapes.get(name)!
    const size = sizeOf(shape)
    weights.set(name, { shape, data: data.slice(at, at + size), ...half })
    at += size
  }
  return weights
}

/** The half precision that tensors have which make one, if they all have it. */
export function commonHalf([first, ...rest]: readonly Stored[]): Pick<Stored, 'half'> {
  const half = first?.half
  return half && rest.every((other) => other.half === half) ? { half } : {}
}

/** The tensors that other tools have from our weights. */
export function toTheirs({ theirs, ours, transposed, heads }: Link, weights: Weights): Weights {
  const own = ours.map((name) => weights.get(name)!)
  const [{ shape }] = own as [Weight]
  const rows = own.reduce((sum, tensor) => sum + tensor.shape[0]!, 0) / theirs.length
  const outer = [rows, ...shape.slice(1)]
  let data = own.length === 1 ? own[0]!.data : joined(own)
  // Of [heads, parts, size] in the order of the parts: the other way round it is the same move.
  if (heads) data = regrouped(data, ours.length, heads)
  const size = sizeOf(outer)
  return new Map(
    theirs.map((name, i) => {
      const tensor = { shape: outer, data: theirs.length === 1 ? data : data.slice(i * size, (i + 1) * size) }
      return [name, transposed ? transpose(tensor) : tensor]
    }),
  )
}

/** The shapes that ours have. */
export function shapesOfOurs(config: ModelConfig, { ours }: Link): [string, number[]][] {
  const shapes = weightShapes(config)
  return ours.map((name) => [name, shapes.get(name)!])
}

/** The shape that theirs are expected to have, each. */
export function shapeOfTheirs(config: ModelConfig, { theirs, ours, transposed }: Link): number[] {
  const shapes = weightShapes(config)
  const own = ours.map((name) => shapes.get(name)!)
  const rows = own.reduce((sum, shape) => sum + shape[0]!, 0) / theirs.length
  const shape = [rows, ...own[0]!.slice(1)]
  return transposed ? shape.reverse() : shape
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

function joined(tensors: readonly Weight[]): Float32Array {
  const all = new Float32Array(tensors.reduce((sum, { data }) => sum + data.length, 0))
  let at = 0
  for (const { data } of tensors) {
    all.set(data, at)
    at += data.length
  }
  return all
}

/** Blocks that lie [outer, inner] in the order [inner, outer]. */
function regrouped(data: Float32Array, outer: number, inner: number): Float32Array {
  const result = new Float32Array(data.length)
  const size = data.length / (outer * inner)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const from = (o * inner + i) * size
      result.set(data.subarray(from, from + size), (i * outer + o) * size)
    }
  }
  return result
}

function transpose({ shape, data, ...stored }: Weight): Weight {
  const [rows, columns] = shape as [number, number]
  const result = new Float32Array(data.length)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c]!
  return { ...stored, shape: [columns, rows], data: result }
}
