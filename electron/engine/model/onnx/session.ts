import { badInput } from '#contract'
import { loadRuntime, sessionOptions, type Ort, type Session } from '../../backend/session'

const IDS = 'input_ids'
const MASK = 'attention_mask'
const POSITIONS = 'position_ids'
const LOGITS = 'logits'

/** Logits computed at a time: bounds what a pass takes, 64 MB of them. */
const LARGEST = 1 << 24

/**
 * A language model as an ONNX file, run by ONNX Runtime on the CPU with the threads of the backend: token ids to logits.
 */
export class OnnxSession {
  private constructor(
    private readonly ort: Ort,
    private readonly session: Session,
    private readonly inputs: readonly { name: string; type: 'int64' | 'int32' }[],
    /** Sequences that the model takes at a time, if not any number. */
    private readonly fixedRows: number | undefined,
    /** As the file tells it; else found out by asking. */
    readonly vocab: number | undefined,
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
      const { inputs, rows } = inputsOf(session, file)
      return new OnnxSession(ort, session, inputs, rows, outputOf(session, file), largest)
    } catch (error) {
      await session.release()
      throw error
    }
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
    const rows = this.fixedRows ?? Math.max(1, Math.min(sequences, Math.floor(this.largest / (time * vocab))))
    for (let first = 0; first < sequences; first += rows) {
      const part = ids.subarray(first * time, (first + rows) * time)
      const { data } = await this.pass(part, time)
      out.set(data, first * time * vocab)
    }
  }

  /** One pass: its logits and their shape. */
  async pass(ids: Int32Array, time: number): Promise<{ data: Float32Array; shape: readonly number[] }> {
    const shape = [ids.length / time, time]
    const of = {
      [IDS]: () => ids,
      [MASK]: () => ids.map(() => 1),
      [POSITIONS]: () => ids.map((_, i) => i % time),
    }
    const feeds = Object.fromEntries(
      this.inputs.map(({ name, type }) => {
        const values = of[name as keyof typeof of]()
        const data = type === 'int64' ? BigInt64Array.from(values, BigInt) : values
        return [name, new this.ort.Tensor(type, data as Int32Array, shape)]
      }),
    )
    const { [LOGITS]: logits } = await this.session.run(feeds, [LOGITS])
    return { data: logits!.data as Float32Array, shape: logits!.dims }
  }

  async release(): Promise<void> {
    await this.session.release()
  }
}

/** The inputs to give, and how many sequences the model takes at a time if that is fixed. */
function inputsOf({ inputMetadata: all }: Session, file: string) {
  const expected = `${IDS}, and optionally ${MASK} and ${POSITIONS}`
  const past = all.find(({ name }) => name.startsWith('past_key_values') || name.startsWith('past.'))
  if (past) {
    throw badInput(
      `the model was exported with a KV cache (input "${past.name}"): it reads one token after another`,
      {
        file,
        expected: 'an export without past keys and values (use_cache off)',
      },
    )
  }
  if (!all.some(({ name }) => name === IDS)) {
    const names = all.map(({ name }) => name).join(', ')
    throw badInput(`the model has no input "${IDS}" (it has ${names || 'none'})`, { file, expected })
  }
  let rows: number | undefined
  const inputs = all.map((input) => {
    const { name } = input
    if (![IDS, MASK, POSITIONS].includes(name))
      throw badInput(`Retort cannot give the input "${name}"`, { file, expected })
    const type = input.isTensor ? input.type : 'no tensor'
    if (!input.isTensor || (type !== 'int64' && type !== 'int32'))
      throw badInput(`the input "${name}" is ${type}`, { file, field: name, expected: 'int64 or int32' })
    const [batch, time] = input.shape
    if (input.shape.length !== 2)
      throw badInput(`the input has shape [${input.shape.join(', ')}]`, {
        file,
        field: name,
        expected: '[batch, sequence]',
      })
    if (isFixed(time))
      throw badInput(`the model reads sequences of ${time} tokens alone`, {
        file,
        field: name,
        expected: 'an export with a dynamic sequence axis',
      })
    if (isFixed(batch) && batch !== 1)
      throw badInput(`the model reads ${batch} sequences at a time alone`, {
        file,
        field: name,
        expected: 'an export with a dynamic batch axis, or of one sequence',
      })
    if (isFixed(batch)) rows = batch
    return { name, type } as const
  })
  return { inputs, rows }
}

/** The vocabulary, where the file tells it. */
function outputOf({ outputMetadata: all }: Session, file: string): number | undefined {
  const logits = all.find(({ name }) => name === LOGITS)
  if (!logits) {
    const names = all.map(({ name }) => name).join(', ')
    throw badInput(`the model has no output "${LOGITS}" (it has ${names})`, {
      file,
      expected: 'a causal language model',
    })
  }
  if (!logits.isTensor || logits.type !== 'float32') {
    const type = logits.isTensor ? logits.type : 'no tensor'
    throw badInput(`the output is ${type}`, { file, field: LOGITS, expected: 'float32' })
  }
  const { shape } = logits
  // An unknown rank is told as no axes.
  if (shape.length && shape.length !== 3) {
    throw badInput(`the output has shape [${shape.join(', ')}]`, {
      file,
      field: LOGITS,
      expected: '[batch, sequence, vocab]',
    })
  }
  return isFixed(shape[2]) ? shape[2] : undefined
}

function isFixed(size: number | string | undefined): size is number {
  return typeof size === 'number' && size > 0
}

export function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!
}
