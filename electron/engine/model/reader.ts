import type { tf } from '../backend/tf'

/** Reads sequences of one length. */
export interface LogitReader {
  /** Where the logits are not computed with the graph: awaited before it. `inputs` [sequences * time] */
  prepare?(inputs: Int32Array): Promise<void>
  /** [sequences, time] to [sequences * time, vocab]; called inside a tidy, for what was prepared last */
  logits(tokens: tf.Tensor2D): tf.Tensor2D
  dispose(): void
}

/** What is read next of a text, whatever number it goes by: its beginning, or one token more. */
export interface Turn {
  text: number
  ids: readonly number[]
}

/** What a reader of texts is to make room for. */
export interface Reading {
  /** So many side by side; or one alone, which is faster, but rounded otherwise than beside others. */
  texts: number | 'one'
  /** Of the longest, in tokens. */
  length: number
}

/** Reads texts side by side token after token, to continue them. */
export interface TextReader {
  /** Tokens of a text that it remembers at most. */
  readonly context: number
  /** Texts that it remembers at most. */
  readonly width: number
  /** Tokens read of a text. */
  position(text: number): number
  /** Reads more of some texts, of none more than there is room for; resolves to the logits [vocab] of what comes next. */
  read(turns: readonly Turn[]): Promise<Float32Array[]>
  /** Forgets what was read of a text. */
  forget(text: number): void
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
  /** For one text of any length, unless something else is said. */
  textReader(reading?: Reading): TextReader
  dispose(): void
}
