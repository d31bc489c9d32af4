import { failed, type OnnxModelConfig } from '#contract'
import type { TextReader } from '../reader'
import { LOGITS } from './signature'
import { firstLine, type OnnxSession, type Past } from './session'

/** Tokens that are remembered where nobody knows how many the model reads. */
const UNKNOWN = 1024

/**
 * Continues a text with an ONNX model: with its KV cache, where it was exported with one, else by reading all of the text
 * anew for each token.
 */
export class OnnxDecoder implements TextReader {
  readonly context: number
  private ids: number[] = []
  private past: Past | undefined

  /**
   * @param session it is not released with the reader
   */
  constructor(
    private readonly session: OnnxSession,
    private readonly model: OnnxModelConfig,
  ) {
    this.context = model.context ?? UNKNOWN
  }

  get position(): number {
    return this.ids.length
  }

  async read(ids: readonly number[]): Promise<Float32Array> {
    const remember = this.session.remembers
    this.ids.push(...ids)
    const wanted = Int32Array.from(remember ? ids : this.ids)
    const { past } = this
    const said = await this.session.pass(wanted, wanted.length, { remember, past }).catch((error: Error) => {
      throw failed(`the model cannot read ${this.ids.length} tokens: ${firstLine(error)}`, error)
    })
    this.past = remember ? said.past : undefined
    const { vocab, rows = vocab } = this.model
    const last = (wanted.length - 1) * rows
    return said.said[LOGITS]!.data.slice(last, last + vocab)
  }

  reset(): void {
    this.ids = []
    this.past = undefined
  }

  dispose(): void {
    this.reset()
  }
}
