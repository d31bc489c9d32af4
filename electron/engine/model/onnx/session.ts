import { badInput } from '#contract'
import { loadRuntime, sessionOptions, type Ort, type Session, type Tensor } from '../../backend/session'
import { IDS, LOGITS, MASK, POSITIONS, signatureOf, type HiddenOutputs, type Signature } from './signature'

/** Logits computed at a time: bounds what a pass takes, 64 MB of them. */
const LARGEST = 1 << 24

/** Keys and values of tokens that were read. */
export interface Past {
  tokens: number
  tensors: readonly Tensor[]
}

/** An output that is asked for. */
export interface Output {
  name: string
  width: number
}

/** The same, and where it goes: [sequences * time, width]. */
export interface Wanted extends Output {
  out: Float32Array<ArrayBuffer>
}

export interface Pass {
  /** Outputs [sequences, time, width] by name. */
  said: Readonly<Record<string, { data: Float32Array; dims: readonly number[] }>>
  /** With those of the pass' tokens: empty unless they were asked for and the model has a KV cache. */
  past: Past
}

interface PassOptions {
  /** Names of what is wanted. */
  outputs?: readonly string[]
  /** Whether the keys and values are wanted too, to read on from there. */
  remember?: boolean
  /** What came before, of as many sequences. */
  past?: Past
}

interface Opening {
  /** Logits computed at a time, unless a sequence has more. */
  largest?: number
  /** Outputs that stay in the memory of the device, where the backend has one: `readParts` gives them. */
  resident?: readonly string[]
}

/**
 * A language model as an ONNX file, run by ONNX Runtime where the backend computes, on the CPU with its threads or on
 * WebGPU: token ids to logits. What WebGPU has no operator for is computed on the CPU in between.
 */
export class OnnxSession {
  private constructor(
    private readonly ort: Ort,
    private readonly session: Session,
    private readonly signature: Signature,
    private readonly largest: number,
    /** Whether there are outputs that stay in the memory of the device. */
    readonly stays: boolean,
  ) {}

  /**
   * @throws bad-input when it cannot be opened, or does not map `input_ids` to `logits`
   */
  static async open(file: string, { largest = LARGEST, resident = [] }: Opening = {}): Promise<OnnxSession> {
    const ort = await loadRuntime()
    const options = sessionOptions()
    const stays = resident.length > 0 && options.executionProviders![0] === 'webgpu'
    if (stays)
      options.preferredOutputLocation = Object.fromEntries(resident.map((name) => [name, 'gpu-buffer']))
    const session = await ort.InferenceSession.create(file, options).catch((error: Error) => {
      throw badInput(`ONNX Runtime cannot open the model: ${firstLine(error)}`, { file })
    })
    try {
      return new OnnxSession(ort, session, signatureOf(session, file), largest, stays)
    } catch (error) {
      await session.release()
      throw error
    }
  }

  /** As the file tells it; else found out by asking. */
  get vocab(): number | undefined {
    return this.signature.vocab
  }

  /** The hidden states that it gives. */
  get hidden(): HiddenOutputs | undefined {
    return this.signature.hidden
  }

  /** Whether it has a KV cache. */
  get remembers(): boolean {
    return this.signature.past.length > 0
  }

  /**
   * What it says of sequences of one length, in as many passes as keep a pass small.
   *
   * @param ids [sequences * time]
   */
  async read(ids: Int32Array, time: number, wanted: readonly Wanted[]): Promise<void> {
    for await (const { first, said } of this.passes(ids, time, wanted))
      for (const { name, width, out } of wanted) out.set(said[name]!.data, first * time * width)
  }

  /**
   * The same, left where it was computed: of each output its parts [sequences, time, width], one after the other, which
   * are the caller's to dispose of.
   */
  async readParts(ids: Int32Array, time: number, wanted: readonly Output[]): Promise<Tensor[][]> {
    const parts: Tensor[][] = wanted.map(() => [])
    for await (const { said } of this.passes(ids, time, wanted))
      for (const [i, { name }] of wanted.entries()) parts[i]!.push(said[name] as unknown as Tensor)
    return parts
  }

  private async *passes(ids: Int32Array, time: number, wanted: readonly Output[]) {
    const sequences = ids.length / time
    const numbers = time * wanted.reduce((sum, { width }) => sum + width, 0)
    const most = Math.max(1, Math.min(sequences, Math.floor(this.largest / numbers)))
    const rows = this.signature.rows ?? most
    for (let first = 0; first < sequences; first += rows) {
      const part = ids.subarray(first * time, (first + rows) * time)
      const { said } = await this.pass(part, time, { outputs: wanted.map(({ name }) => name) })
      yield { first, said }
    }
  }

  /**
   * One pass.
   *
   * @param ids [sequences * time]
   */
  async pass(
    ids: Int32Array,
    time: number,
    { outputs = [LOGITS], remember = false, past }: PassOptions = {},
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
    // What goes wrong is thrown: the runtime need not say it on the console too.
    const result = await this.session.run(feeds, [...outputs, ...presents], { logSeverityLevel: 4 })
    const tensors = presents.map((name) => result[name]!)
    return { said: result as unknown as Pass['said'], past: { tokens: before + time, tensors } }
  }

  async release(): Promise<void> {
    await this.session.release()
  }
}

export function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!
}
