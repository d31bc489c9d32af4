import type { Tensor } from 'onnxruntime-node'

export type Dtype = 'float32' | 'int32' | 'bool'
export type Data = Float32Array | Int32Array | Uint8Array
export type Attribute = number | string | readonly number[] | { float: number }
export type Attributes = Readonly<Record<string, Attribute>>

/**
 * Types of ONNX that appear in our graphs; int64 only between nodes (shapes, axes, indices), 8 bits only of teachers'
 * weights and of what is multiplied with them.
 */
export type OnnxType = Dtype | 'int64' | 'int8' | 'uint8'

let nextId = 0

/**
 * A value of the lazy graph: known (its data is there, on the host or on the device) or still to be computed (its operator and inputs are). A
 * constant is part of the graph's structure and never an input.
 */
export class Value {
  readonly id = ++nextId
  /** How many tensors of tfjs stand for it. */
  live = 0
  /** How often they are referred to: clones and variables share what they stand for. */
  references = 0
  data: Data | undefined
  /** Another value has the same data under another shape. */
  shared = false
  /** Where the data is if it has stayed in the device's memory. */
  resident: Tensor | undefined
  op: Operation | undefined
  constant: Constant | undefined
  rowSum: RowSum | undefined

  constructor(
    readonly shape: readonly number[],
    readonly type: OnnxType,
  ) {}

  /** Known: it needs no computing. */
  get ready(): boolean {
    return this.data !== undefined || this.resident !== undefined
  }

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1)
  }
}

/**
 * What a value is, said in another way: a table with rows added to it, the same row any number of times. The gradient
 * of an embedding is that. ONNX has only operators that add element by element (5 ms for 2,048 rows of 192) or race
 * for a row; where such a sum is asked for by itself, the host adds the rows, in order.
 */
export interface RowSum {
  /** What the rows are added to; zeros without it. */
  target?: Value
  /** Where each row goes; one outside of the table is dropped. */
  places: Data
  /** As many rows as places. */
  updates: Value
}

export interface Operation {
  name: string
  domain: string
  inputs: readonly (Value | undefined)[]
  attributes: Attributes
  /** Shared by all the values it gives. */
  outputs: readonly Value[]
}

export interface Constant {
  key: string
  bytes: Uint8Array
}

/** What one session run computes: `nodes` in dependency order from `leaves` to `outputs`. */
export interface Graph {
  leaves: Value[]
  constants: Value[]
  nodes: Operation[]
  outputs: Value[]
  names: Map<Value, string>
  /** The same for graphs of the same structure, whatever the data. */
  key: string
}

/** What of a graph its compiled form needs to be run. */
export type Runnable = Pick<Graph, 'key' | 'leaves' | 'outputs' | 'names'>

/** Collects everything that `outputs` depend on. */
export function traceGraph(outputs: Value[]): Graph {
  const graph: Graph = { leaves: [], constants: [], nodes: [], outputs, names: new Map(), key: '' }
  const { names, leaves, constants, nodes } = graph
  const parts: string[] = []
  const seen = new Set<Operation>()

  function name(value: Value): boolean {
    if (names.has(value)) return true
    if (value.ready) {
      names.set(value, `i${leaves.length}`)
      leaves.push(value)
      parts.push(`${value.type}[${value.shape.join()}]`)
      return true
    }
    if (value.constant) {
      names.set(value, `c${constants.length}`)
      constants.push(value)
      parts.push(`=${value.constant.key}`)
      return true
    }
    return false
  }

  // Depth first, with a stack of our own: graphs are deeper than the call stack.
  const stack: { op: Operation; next: number }[] = []
  for (const output of outputs) {
    if (name(output)) continue
    stack.push({ op: output.op!, next: 0 })
    seen.add(output.op!)
    while (stack.length) {
      const top = stack[stack.length - 1]!
      const { inputs } = top.op
      let child: Operation | undefined
      while (top.next < inputs.length && !child) {
        const input = inputs[top.next++]
        if (input && !name(input) && !seen.has(input.op!)) child = input.op
      }
      if (child) {
        seen.add(child)
        stack.push({ op: child, next: 0 })
        continue
      }
      stack.pop()
      const at = nodes.push(top.op) - 1
      for (const [i, value] of top.op.outputs.entries()) if (!value.ready) names.set(value, outputName(at, i))
      parts.push(describe(top.op, names))
    }
  }
  graph.key = `${parts.join(';')}>${outputs.map((value) => names.get(value)).join()}`
  return graph
}

/** The name of output `i` of node `at`. */
export function outputName(at: number, i: number): string {
  return `n${at}_${i}`
}

function describe(op: Operation, names: Map<Value, string>): string {
  const inputs = op.inputs.map((value) => (value ? names.get(value) : '')).join()
  let attributes = ''
  for (const key in op.attributes) {
    const value = op.attributes[key]!
    attributes += `${key}=${typeof value === 'object' && 'float' in value ? `${value.float}f` : String(value)} `
  }
  return `${op.name}(${inputs})${attributes}`
}

/**
 * Takes a computed graph apart. Nobody asks for its inner values again; but those that have outlived a few steps would
 * keep all that they were made of until the garbage collector's next full round.
 */
export function forget({ nodes }: Graph): void {
  for (const op of nodes) {
    for (const output of op.outputs) output.op = undefined
    op.inputs = []
    op.outputs = []
  }
}
