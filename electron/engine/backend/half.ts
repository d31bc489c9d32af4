import type { Graph } from './graph'
import { encodeOnnx, toModel } from './onnx'
import type { OnnxModel, OnnxNode, ValueInfo } from './onnxModel'

/** A value waits when so many operators lie between one use and the next: more than a layer has forward. */
const WAIT = 64
/** TensorProto.DataType FLOAT and FLOAT16. */
export const [FLOAT, HALF] = [1, 10]

type Shapes = ReadonlyMap<string, Omit<ValueInfo, 'name'>>

/** An operator's use of a value, under the name of a view of it or its own. */
interface Use {
  at: number
  name: string
}

/** Encodes a graph of the backend, with what waits in it in half precision. */
export function encodeHalf(graph: Graph): Uint8Array {
  const shapes = new Map([...graph.names].map(([value, name]) => [name, value]))
  return encodeOnnx(keepInHalf(toModel(graph), shapes))
}

/**
 * Stores in half precision what waits: a table of floats that is computed and is needed again much later, as activations
 * are by the backward pass, is rounded to float16 once, and made float32 again for each group of its users. So its
 * memory while it waits is halved, and all users see the same numbers. Every operator computes and adds up in float32.
 * Left as they are: inputs and outputs of the graph (weights, moments, metrics), and what says something of a whole
 * row or column (maxima, sums, norms: small, and their digits count).
 *
 * Products too are left to float32: ONNX Runtime's WebGPU provider adds up products of float16 matrices in float16
 * (1.30: 16 * 2250 + 16 * 2250 is infinite).
 *
 * @param shapes of the model's values, by name
 */
export function keepInHalf(model: OnnxModel, shapes: Shapes): OnnxModel {
  const { uses, views } = usesOf(model)
  const outputs = new Set(model.outputs.map(({ name }) => name))
  /** Operators to put after one. */
  const after = new Map<number, OnnxNode[]>()
  /** Per operator the inputs that it gets under another name. */
  const renamed = new Map<number, Map<string, string>>()
  const replaced = new Set<string>()

  for (const [made, { outputs: names }] of model.nodes.entries()) {
    for (const name of names) {
      const found = uses.get(name) ?? []
      if (views.has(name) || !isTable(shapes.get(name)) || found.some((use) => outputs.has(use.name)))
        continue
      const groups = apart(found)
      if (groups.length < 2 && !waits(made, groups)) continue
      const half = `${name}_half`
      const added = [cast(name, half, HALF)]
      for (const [i, group] of groups.entries()) {
        const whole = `${name}_${i}`
        // ONNX Runtime takes an operator's inputs by their place in the list, the last first: those that are far up
        // here are made when they are needed.
        added.push(cast(half, whole, FLOAT))
        for (const { at, name: seen } of group) {
          const own = seen === name ? whole : `${seen}_${i}`
          if (seen !== name) replaced.add(seen)
          if (own !== whole && !added.some(({ outputs: [o] }) => o === own))
            added.push({ ...views.get(seen)!, inputs: [whole, views.get(seen)!.inputs[1]!], outputs: [own] })
          renamed.set(at, (renamed.get(at) ?? new Map<string, string>()).set(seen, own))
        }
      }
      after.set(made, [...(after.get(made) ?? []), ...added])
    }
  }
  const nodes = model.nodes.flatMap((node, at) => {
    if (replaced.has(node.outputs[0]!)) return []
    const names = renamed.get(at)
    const inputs = names ? node.inputs.map((input) => names.get(input) ?? input) : node.inputs
    return [{ ...node, inputs }, ...(after.get(at) ?? [])]
  })
  return { ...model, nodes }
}

/** Who uses each value, and what is another one under another shape (it has no memory of its own). */
function usesOf(model: OnnxModel): { uses: Map<string, Use[]>; views: Map<string, OnnxNode> } {
  const uses = new Map<string, Use[]>()
  const views = new Map<string, OnnxNode>()
  const root = new Map<string, string>()
  const add = (at: number, name: string) => {
    const of = root.get(name) ?? name
    uses.set(of, [...(uses.get(of) ?? []), { at, name }])
  }
  for (const [at, node] of model.nodes.entries()) {
    if (node.name === 'Reshape') {
      const [from, view] = [node.inputs[0]!, node.outputs[0]!]
      views.set(view, node)
      root.set(view, root.get(from) ?? from)
    } else for (const input of new Set(node.inputs)) if (input) add(at, input)
  }
  for (const { name } of model.outputs) add(model.nodes.length, name)
  return { uses, views }
}

function isTable(value: Omit<ValueInfo, 'name'> | undefined): boolean {
  return (
    value?.type === 'float32' && value.shape.length > 1 && value.shape.slice(-2).every((size) => size !== 1)
  )
}

/** Cuts uses, in order, where they lie far apart. */
function apart(uses: readonly Use[]): Use[][] {
  const groups: Use[][] = []
  for (const [i, use] of uses.entries()) {
    if (i === 0 || use.at - uses[i - 1]!.at > WAIT) groups.push([])
    groups.at(-1)!.push(use)
  }
  return groups
}

function waits(made: number, [first]: Use[][]): boolean {
  return first !== undefined && first[0]!.at - made > WAIT
}

function cast(from: string, to: string, type: number): OnnxNode {
  return { name: 'Cast', inputs: [from], outputs: [to], attributes: { to: type } }
}
