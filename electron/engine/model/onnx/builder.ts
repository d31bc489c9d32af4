import { TYPE } from '../../backend/onnx'
import type { OnnxAttributes, OnnxNode, OnnxTensor } from '../../backend/onnxModel'

/** Builds the nodes of an ONNX graph, each with one output, under names of their own. */
export class OnnxBuilder {
  readonly nodes: OnnxNode[] = []
  private readonly constants = new Map<string, string>()

  node(name: string, inputs: readonly string[], attributes: OnnxAttributes = {}): string {
    const output = `${name.toLowerCase()}_${this.nodes.length}`
    this.nodes.push({ name, inputs, outputs: [output], attributes })
    return output
  }

  cast(value: string, to: keyof typeof TYPE): string {
    return this.node('Cast', [value], { to: TYPE[to] })
  }

  integers(values: readonly number[]): string {
    const bytes = Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer)
    return this.constant({ type: 'int64', shape: [values.length], bytes })
  }

  integer(value: number): string {
    const bytes = Buffer.from(BigInt64Array.of(BigInt(value)).buffer)
    return this.constant({ type: 'int64', shape: [], bytes })
  }

  float(value: number): string {
    return this.constant({ type: 'float32', shape: [], bytes: Buffer.from(Float32Array.of(value).buffer) })
  }

  double(value: number): string {
    return this.constant({ type: 'float64', shape: [], bytes: Buffer.from(Float64Array.of(value).buffer) })
  }

  doubles(values: ArrayLike<number>): string {
    const bytes = Buffer.from(Float64Array.from(values).buffer)
    return this.constant({ type: 'float64', shape: [values.length], bytes })
  }

  /** One node for each constant: the initialisers are the weights and nothing else. */
  constant(tensor: Omit<OnnxTensor, 'name'>): string {
    const key = `${tensor.type} ${tensor.shape.join()} ${Buffer.from(tensor.bytes).toString('base64')}`
    const known = this.constants.get(key)
    if (known) return known
    const name = `constant_${this.constants.size}`
    this.nodes.push({
      name: 'Constant',
      inputs: [],
      outputs: [name],
      attributes: { value: { tensor: { name, ...tensor } } },
    })
    this.constants.set(key, name)
    return name
  }
}
