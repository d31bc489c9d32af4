import { badInput } from '#contract'
import { loadRuntime, sessionOptions, type Ort, type Session, type Tensor } from '../../backend/session'
import { IDS, LOGITS, MASK, POSITIONS, signatureOf, type Signature } from './signature'

/** Logits computed at a time: bounds what a pass takes, 64 MB of them. */
const LARGEST = 1 << 24

/** Keys and values of tokens that were read. */
export interface Past {
  tokens: number
  tensors: readonly Tensor[]
}

export interface Pass {
  /** Logits [sequences, time, vocab] and their shape. */
  data: Float32Array
  shape: readonly number[]
  /** With those of the pass' tokens; of a model with a KV cache, where it was asked for. */
  past?: Past
}

/**
 * A language model as an ONNX file, run by ONNX Runtime on the CPU with the threads of the backend: token ids to logits.
 */
export class OnnxSession {
  private constructor(
    private readonly ort: Ort,
    private readonly session: Session,
    private readonly signature: Signature,
    private readonly largest: number,
  ) {}

  /**
   * @param largest logits computed at a time, unless a sequence has more
   * @throws bad-input when it cannot be opened, or does not map `input_ids` to `logits`
   */
  static async open(file: string, largest = LARGEST): Promise<OnnxSession> {
    const ort = await loadRuntime()
    const session = await ort.InferenceSession.create(file, sessionOptions()).catch((error: Error) => {
      throw badInput(`ONNX Runtime cannot open the model: ${firstLine(error)}`, { file })
    })
    try {
      return new OnnxSession(ort, session, signatureOf(session, file), largest)
    } catch (error) {
      await session.release()
      throw error
    }
  }

  /** As the file tells it; else found out by asking. */
  get vocab(): number | undefined {
    return this.signature.vocab
  }

  /** Whether it has a KV cache. */
  get remembers(): boolean {
    return this.signature.past.length > 0
  }

  /**
   * The logits of sequences of one length, in as many passes as keep a pass small.
   *
   * @param ids [sequences * time]
   * @param vocab what the model gives for each token
   * @param out where they go, [sequences * time, vocab]
   */
  async logits(ids: Int32Array, time: number, vocab: number, out: Float32Array): Promise<void> {
    const sequences = ids.length / time
    const most = Math.max(1, Math.min(sequences, Math.floor(this.largest / (time * vocab))))
    const rows = this.signature.rows ?? most
    for (let first = 0; first < sequences; first += rows) {
      const part = ids.subarray(first * time, (first + rows) * time)
      const { data } = await this.pass(part, time)
      out.set(data, first * time * vocab)
    }
  }

  /**
   * One pass.
   *
   * @param ids [sequences * time]
   * @param remember whether the keys and values are wanted, to read on from there
   * @param past what came before, of as many sequences
   */
  async pass(
    ids: Int32Array,
    time: number,
    { remember = false, past }: { remember?: boolean; past?: Past } = {},
  ): Promise<Pass> {
    const { Tensor } = this.ort
    const rows = ids.length / time
    const before = past?.tokens ?? 0
    const of = {
      [IDS]: { width: time, values: () => ids },
      [MASK]: {
        width: before + time,
        values: () => new Int32Array(rows * (before + time)).fill(1),
      },
      [POSITIONS]: { width: time, values: () => ids.map((_, i) => before + (i % time)) },
    }
    const feeds: Record<string, Tensor> = {}
    for (const { name, type } of this.signature.inputs) {
      const { width, values } = of[name as keyof typeof of]
      const data = type === 'int64' ? BigInt64Array.from(values(), BigInt) : values()
      feeds[name] = new Tensor(type, data as Int32Array, [rows, width])
    }
    for (const [i, { name, heads, size }] of this.signature.past.entries())
      feeds[name] = past?.tensors[i] ?? new Tensor('float32', new Float32Array(), [rows, heads, 0, size])
    const presents = remember ? this.signature.past.map(({ present }) => present) : []
    const said = await this.session.run(feeds, [LOGITS, ...presents])
    const { data, dims: shape } = said[LOGITS]!
    const pass = { data: data as Float32Array, shape }
    if (!presents.length) return pass
    return { ...pass, past: { tokens: before + time, tensors: presents.map((name) => said[name]!) } }
  }

  async release(): Promise<void> {
    await this.session.release()
  }
}

export function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!
}
