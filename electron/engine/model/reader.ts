import type { tf } from '../backend/tf'

/** Reads sequences of one length. */
export interface LogitReader {
  /** Where the logits are not computed with the graph: awaited before it. `inputs` [sequences * time] */
  prepare?(inputs: Int32Array): Promise<void>
  /** [sequences, time] to [sequences * time, vocab]; called inside a tidy, for what was prepared last */
  logits(tokens: tf.Tensor2D): tf.Tensor2D
  dispose(): void
}

/** Reads a text token after token, to continue it. */
export interface TextReader {
  /** Tokens that it remembers at most. */
  readonly context: number
  /** Tokens read. */
  readonly position: number
  /** Reads more tokens, not more than there is room for; resolves to the logits [vocab] of what comes after the last. */
  read(ids: readonly number[]): Promise<Float32Array>
  /** Forgets what was read. */
  reset(): void
  dispose(): void
}

/** A model of ours, or an ONNX file: what scoring and writing ask of it. */
export interface LanguageModel {
  vocab: number
  /** Longest sequence it reads; infinite where nobody knows. */
  context: number
  parameters: number
  /** Of a forward pass, where the layers are known. */
  flopsPerToken?: number
  reader(time: number): LogitReader
  textReader(): TextReader
  dispose(): void
}
