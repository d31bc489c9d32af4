import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { badInput, SCHEMA_VERSION, type OnnxModelConfig } from '#contract'
import { copyFile, readJson, writeJsonAtomic, sha256WithOthers } from '../../../files'
import { readOnnxFile, type OnnxFile } from './file'
import { checkVocabulary } from '../vocabulary'
import { firstLine, OnnxSession, type Pass } from './session'
import { hiddenOutput, LOGITS } from './signature'

/** Its name in the library. */
export const ONNX_FILE = 'model.onnx'

/** An ONNX model that has been looked at and asked. */
export interface CheckedOnnx extends OnnxFile {
  file: string
  config: OnnxModelConfig
}

/** How many ids a tokenizer has; of one that is fitted to the model, given the logits that this gives for each token. */
type Vocabulary = number | ((rows: number) => Promise<number>)

/**
 * Looks at an ONNX file and asks it a few tokens: whether it is a causal language model of that vocabulary.
 *
 * @throws bad-input saying what it is not
 */
export async function checkOnnx(file: string, vocabulary: Vocabulary): Promise<CheckedOnnx> {
  const content = readOnnxFile(file)
  const session = await OnnxSession.open(file)
  try {
    if (session.vocab !== undefined && typeof vocabulary === 'number')
      checkVocabulary(session.vocab, vocabulary, file, LOGITS)
    const { hidden, rows, vocab } = await tryOut(session, vocabulary, file)
    const context = contextOf(file, content)
    const config = {
      family: 'onnx' as const,
      vocab,
      ...(rows !== vocab && { rows }),
      ...(context && { context }),
      ...(hidden && { hidden }),
    }
    return { ...content, file, config }
  } finally {
    await session.release()
  }
}

/** Copies the model with all its files into a folder; returns its digest. */
export async function storeOnnx({ file, external, config }: CheckedOnnx, folder: string): Promise<string> {
  const target = join(folder, ONNX_FILE)
  copyFile(file, target)
  for (const name of external) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    copyFile(join(dirname(file), name), join(folder, name))
  }
  writeJsonAtomic(join(folder, 'model.json'), { schemaVersion: SCHEMA_VERSION, ...config })
  return sha256WithOthers(target, external)
}

/**
 * Asks it two sequences that differ in their last token: a causal model says the same of those before it. Then one in
 * two parts, where it has a KV cache.
 *
 * @returns the hidden states that it gives, if any, how many logits for each token, and how many of them have an id
 */
async function tryOut(
  session: OnnxSession,
  vocabulary: Vocabulary,
  file: string,
): Promise<{ hidden: OnnxModelConfig['hidden']; rows: number; vocab: number }> {
  const time = 3
  const ids = (last: number) => Int32Array.of(0, vocabulary === 1 ? 0 : 1, last)
  const { hidden } = session
  const states = Array.from({ length: hidden ? hidden.layers + 1 : 0 }, (_, layer) => layer)
    .filter((layer) => layer || !hidden!.last)
    .map((layer) => hiddenOutput(hidden!, layer))
  const ask = async (last: number) => {
    const pass = session.pass(ids(last), time, { outputs: [LOGITS, ...states] })
    const { said } = await pass.catch((error: Error) => {
      throw badInput(`ONNX Runtime cannot run the model: ${firstLine(error)}`, { file })
    })
    return said
  }
  const one = await ask(0)
  const width = widthOf(LOGITS, one, time, file)
  const vocab = typeof vocabulary === 'number' ? vocabulary : await vocabulary(width)
  checkVocabulary(width, vocab, file, LOGITS)
  const other = await ask(vocab - 1)
  const last = (time - 1) * width
  const whole = one[LOGITS]!.data
  if (!alike(whole.subarray(0, last), other[LOGITS]!.data)) {
    throw badInput('what the model says of a token changes with the tokens after it', {
      file,
      expected: 'a causal language model',
    })
  }
  if (session.remembers) {
    const { past } = await session.pass(ids(0).subarray(0, time - 1), time - 1, { remember: true })
    const { said } = await session.pass(ids(0).subarray(time - 1), 1, { past })
    if (!alike(said[LOGITS]!.data, whole.subarray(last))) {
      throw badInput(
        'what the model says is another thing read at once than read on from its past keys and values',
        { file, expected: 'an export whose cache works, or one without (use_cache off)' },
      )
    }
  }
  const widths = states.map((name) => widthOf(name, one, time, file))
  return { hidden: hidden && { width: sameWidth(widths, file), ...hidden }, rows: width, vocab }
}

/** The width of an output of one sequence, which has the shape and the numbers that it should. */
function widthOf(name: string, said: Pass['said'], time: number, file: string): number {
  const { data, dims } = said[name]!
  const [batch, tokens, width] = dims
  if (dims.length !== 3 || batch !== 1 || tokens !== time) {
    throw badInput(`${name} of ${time} tokens has shape [${dims.join(', ')}]`, {
      file,
      field: name,
      expected: `[1, ${time}, ${name === LOGITS ? 'vocab' : 'width'}]`,
    })
  }
  if (!data.every(Number.isFinite)) throw badInput(`the model gives ${name} that are no numbers`, { file })
  return width!
}

function sameWidth(widths: readonly number[], file: string): number {
  if (new Set(widths).size === 1) return widths[0]!
  throw badInput(`the hidden states have widths of ${[...new Set(widths)].join(' and ')}`, {
    file,
    field: 'hidden_states',
    expected: 'the same of all layers',
  })
}

/** Whether the first numbers of two lists are the same but for rounding. */
function alike(some: Float32Array, others: Float32Array): boolean {
  const size = some.reduce((most, z) => Math.max(most, Math.abs(z)), 1)
  return some.every((z, i) => Math.abs(z - others[i]!) <= 1e-3 * size)
}

const aboutModel = z.object({
  max_position_embeddings: z.number().int().positive().optional(),
  n_positions: z.number().int().positive().optional(),
})

/** The longest sequence that the model was made for, as the file or a `config.json` beside it tells. */
function contextOf(file: string, { metadata }: OnnxFile): number | undefined {
  const own = Number(metadata.get('context'))
  if (Number.isInteger(own) && own > 0) return own
  const beside = join(dirname(file), 'config.json')
  if (!existsSync(beside)) return undefined
  const { data } = aboutModel.safeParse(readJson(beside))
  return data?.max_position_embeddings ?? data?.n_positions
}
