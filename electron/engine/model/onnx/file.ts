import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, normalize, sep } from 'node:path'
import { badInput } from '#contract'
import { ProtoReader, type Field } from '../../backend/protobuf'

/** What a serialised model says of itself, beside its graph. */
export interface OnnxFile {
  metadata: Map<string, string>
  /** Files beside it that hold weights, relative to its folder. */
  external: string[]
  /** Numbers in the weights. */
  parameters: number
}

/** Field numbers of onnx.proto. */
const MODEL = { graph: 7, metadata: 14 } as const
const GRAPH = { node: 1, initialiser: 5 } as const
const NODE = { attribute: 5 } as const
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11 } as const
const TENSOR = { dims: 1, type: 2, external: 13 } as const

/** TensorProto.DataType of what is learned: floats of all sizes, and the 8- and 4-bit integers of quantised models. */
const WEIGHTS = new Set([1, 2, 3, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23])

/** @throws bad-input when the file is no ONNX model, or lacks a file that it needs */
export function readOnnxFile(file: string): OnnxFile {
  const found: OnnxFile = { metadata: new Map(), external: [], parameters: 0 }
  const external = new Set<string>()
  let graphs = 0
  try {
    for (const field of new ProtoReader(readFileSync(file))) {
      if (field.number === MODEL.metadata) found.metadata.set(...readEntry(field))
      if (field.number !== MODEL.graph) continue
      graphs++
      readGraph(field, found, external)
    }
  } catch (error) {
    throw badInput(`the file is not an ONNX model (${(error as Error).message})`, { file })
  }
  if (!graphs) throw badInput('the file is not an ONNX model (it has no graph)', { file })
  found.external = [...external].sort()
  checkExternal(file, found.external)
  return found
}

function checkExternal(file: string, external: readonly string[]): void {
  for (const name of external) {
    const place = normalize(name)
    if (isAbsolute(place) || place.split(sep).includes('..'))
      throw badInput(`its weights are in "${name}", outside its folder`, {
        file,
        expected: 'files beside the model',
      })
    const path = join(dirname(file), place)
    if (existsSync(path)) continue
    throw badInput(`a file with its weights is missing: "${name}"`, { file, expected: `it at ${path}` })
  }
}

function readGraph(graph: Field, found: OnnxFile, external: Set<string>): void {
  for (const field of graph.message()) {
    if (field.number === GRAPH.initialiser) found.parameters += readTensor(field, external)
    if (field.number !== GRAPH.node) continue
    for (const attribute of field.message()) {
      if (attribute.number !== NODE.attribute) continue
      for (const part of attribute.message()) {
        if (part.number === ATTRIBUTE.graph || part.number === ATTRIBUTE.graphs)
          readGraph(part, found, external)
        if (part.number === ATTRIBUTE.tensor || part.number === ATTRIBUTE.tensors) readTensor(part, external)
      }
    }
  }
}

/** How many numbers of a tensor are weights. */
function readTensor(tensor: Field, external: Set<string>): number {
  let [size, type] = [1, 0]
  for (const field of tensor.message()) {
    if (field.number === TENSOR.dims) for (const dim of field.integers()) size *= dim
    if (field.number === TENSOR.type) type = field.integers()[0]!
    if (field.number !== TENSOR.external) continue
    const [key, value] = readEntry(field)
    if (key === 'location') external.add(value)
  }
  return WEIGHTS.has(type) ? size : 0
}

function readEntry(entry: Field): [string, string] {
  const pair: [string, string] = ['', '']
  for (const field of entry.message())
    if (field.number === 1 || field.number === 2) pair[field.number - 1] = field.text()
  return pair
}
