import { badInput, type OnnxModelConfig } from '#contract'
import type { Session } from '../../backend/session'

export const IDS = 'input_ids'
export const MASK = 'attention_mask'
export const POSITIONS = 'position_ids'
export const LOGITS = 'logits'

/** The keys or values of a layer, float32 [batch, heads, tokens, size]: what is given and what comes back for it. */
export interface PastInput {
  name: string
  present: string
  heads: number
  size: number
}

/** What an ONNX language model takes and gives. */
export interface Signature {
  /** Of token ids, mask and positions those that it has. */
  inputs: readonly { name: string; type: 'int64' | 'int32' }[]
  /** Of a model that was exported with a KV cache. */
  past: readonly PastInput[]
  /** Sequences that the model takes at a time, if not any number. */
  rows?: number
  /** As the file tells it; else found out by asking. */
  vocab?: number
  hidden?: HiddenOutputs
}

/** Hidden states that a model gives: of the embedding and `layers` layers, or the `last` alone, as layer 1. */
export type HiddenOutputs = Omit<NonNullable<OnnxModelConfig['hidden']>, 'width'>

/** The output that holds the hidden states of a layer, float32 [batch, sequence, width]. */
export function hiddenOutput({ last }: HiddenOutputs, layer: number): string {
  return last ? 'last_hidden_state' : `hidden_states.${layer}`
}

type Metadata = Session['inputMetadata'][number]

/** @throws bad-input when the model does not map `input_ids` to `logits` */
export function signatureOf(session: Session, file: string): Signature {
  const { inputMetadata: all, outputMetadata: outputs } = session
  const expected = `${IDS}, and optionally ${MASK}, ${POSITIONS} and past_key_values`
  if (!all.some(({ name }) => name === IDS))
    throw badInput(`the model has no input "${IDS}" (it has ${namesOf(all)})`, { file, expected })
  const inputs: { name: string; type: 'int64' | 'int32' }[] = []
  const past: PastInput[] = []
  let rows: number | undefined
  for (const input of all) {
    const { name } = input
    if (name.startsWith('past_key_values.')) {
      past.push(pastOf(input, outputs, file))
      continue
    }
    if (![IDS, MASK, POSITIONS].includes(name))
      throw badInput(`Retort cannot give the input "${name}"`, { file, expected })
    const type = input.isTensor ? input.type : 'no tensor'
    if (!input.isTensor || (type !== 'int64' && type !== 'int32'))
      throw badInput(`the input "${name}" is ${type}`, { file, field: name, expected: 'int64 or int32' })
    rows = rowsOf(input, file) ?? rows
    inputs.push({ name, type })
  }
  return { inputs, past, rows, vocab: vocabOf(outputs, file), hidden: hiddenOf(outputs) }
}

/** How many sequences the model takes at a time, if that is fixed. */
function rowsOf(input: Extract<Metadata, { isTensor: true }>, file: string): number | undefined {
  const [batch, time] = input.shape
  const wrong = (message: string, expected: string) =>
    badInput(message, { file, field: input.name, expected })
  if (input.shape.length !== 2)
    throw wrong(`the input has shape [${input.shape.join(', ')}]`, '[batch, sequence]')
  if (isFixed(time))
    throw wrong(`the model reads sequences of ${time} tokens alone`, 'an export with a dynamic sequence axis')
  if (isFixed(batch) && batch !== 1)
    throw wrong(
      `the model reads ${batch} sequences at a time alone`,
      'an export with a dynamic batch axis, or of one sequence',
    )
  return isFixed(batch) ? batch : undefined
}

function pastOf(input: Metadata, outputs: readonly Metadata[], file: string): PastInput {
  const { name } = input
  const present = name.replace('past_key_values', 'present')
  const shape = input.isTensor ? input.shape : []
  const [, heads, time, size] = shape
  if (!input.isTensor || input.type !== 'float32' || !isFixed(heads) || isFixed(time) || !isFixed(size)) {
    const type = input.isTensor ? input.type : 'no tensor'
    throw badInput(`the cache "${name}" is ${type} [${shape.join(', ')}]`, {
      file,
      field: name,
      expected: 'float32 [batch, heads, past tokens, size], heads and size fixed',
    })
  }
  if (!outputs.some((output) => output.name === present)) {
    throw badInput(`the model has the input "${name}" and no output "${present}"`, {
      file,
      expected: 'both, or an export without past keys and values (use_cache off)',
    })
  }
  return { name, present, heads, size }
}

/** The vocabulary, where the file tells it. */
function vocabOf(outputs: readonly Metadata[], file: string): number | undefined {
  const logits = outputs.find(({ name }) => name === LOGITS)
  if (!logits) {
    throw badInput(`the model has no output "${LOGITS}" (it has ${namesOf(outputs)})`, {
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

/** Those that can be aligned with: all layers', or the last one's. */
function hiddenOf(outputs: readonly Metadata[]): HiddenOutputs | undefined {
  const given = (name: string) =>
    outputs.some((output) => output.name === name && output.isTensor && output.type === 'float32')
  let layers = 0
  while (given(hiddenOutput({ layers }, layers + 1))) layers++
  if (layers && given(hiddenOutput({ layers }, 0))) return { layers }
  const last = { layers: 1, last: true } as const
  return given(hiddenOutput(last, 1)) ? last : undefined
}

function namesOf(all: readonly Metadata[]): string {
  return all.map(({ name }) => name).join(', ') || 'none'
}

function isFixed(size: number | string | undefined): size is number {
  return typeof size === 'number' && size > 0
}
