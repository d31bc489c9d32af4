import type { Attribute, OnnxType } from './graph'

/** A model as onnx.proto has it, its values by name. */
export interface OnnxModel {
  /** In dependency order. */
  nodes: readonly OnnxNode[]
  initialisers: readonly OnnxTensor[]
  inputs: readonly ValueInfo[]
  outputs: readonly ValueInfo[]
  /** What tools beside the runtime may want to know. */
  metadata?: Readonly<Record<string, string>>
}

export interface OnnxNode {
  name: string
  domain?: string
  /** '' for one that is left out. */
  inputs: readonly string[]
  outputs: readonly string[]
  attributes?: OnnxAttributes
}

export type OnnxAttributes = Readonly<Record<string, Attribute | { tensor: OnnxTensor }>>

export interface OnnxTensor {
  name: string
  type: OnnxType | 'float64'
  shape: readonly number[]
  /** Little-endian. */
  bytes: Uint8Array
}

export interface ValueInfo {
  name: string
  type: OnnxType
  /** A name for a size that is known when the model runs. */
  shape: readonly (number | string)[]
}
