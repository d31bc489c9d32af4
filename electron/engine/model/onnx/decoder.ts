import { failed, type OnnxModelConfig } from '#contract'
import type { TextReader, Turn } from '../reader'
import { LOGITS } from './signature'
import { firstLine, type OnnxSession, type Past } from './session'

/** Tokens that are remembered where nobody knows how many the model reads. */
const UNKNOWN = 1024

/**
 * Continues one text at a time with an ONNX model: with its KV cache, where it was exported with one, else by reading all
 * of the text anew for each token.
 */
export class OnnxDecoder implements TextReader {
  readonly context: number
  readonly width = 1
  private text: number | undefined
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

  position(text: number): number {
    return text === this.text ? this.ids.length : 0
  }

  async read(turns: readonly Turn[]): Promise<Float32Array[]> {
    const said: Float32Array[] = []
    for (const turn of turns) said.push(await this.readOn(turn))
    return said
  }

  private async readOn({ text, ids }: Turn): Promise<Float32Array> {
    if (text !== this.text) this.dispose()
    this.text = text
    const remember = this.session.remembers
    this.ids.push(...ids)
    const { past } = this
    const pass = (read: readonly number[], past: Past | undefined) =>
      this.session.pass(Int32Array.from(read), read.length, { remember, past })
    let wanted = remember ? ids : this.ids
    // A cache may serve short texts alone, as of models with LongRoPE: the text is read anew then, as transformers does.
    const again = () => pass((wanted = this.ids), undefined)
    const said = await (past ? pass(wanted, past).catch(again) : pass(wanted, past)).catch((error: Error) => {
      throw failed(`the model cannot read ${this.ids.length} tokens: ${firstLine(error)}`, error)
    })
    this.past = remember ? said.past : undefined
    const { vocab, rows = vocab } = this.model
    const last = (wanted.length - 1) * rows
    return said.said[LOGITS]!.data.slice(last, last + vocab)
  }

  forget(text: number): void {
    if (text === this.text) this.dispose()
  }

  dispose(): void {
    this.text = undefined
    this.ids = []
    this.past = undefined
  }
}
