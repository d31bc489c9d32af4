import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createRandom } from '../random'
import { Decoder } from './decoder'
import { readHuggingFace } from './huggingface'
import { nativeModel } from './languageModel'
import type { LanguageModel } from './reader'
import { initialise, toTensors } from './weights'
import { writeAlone, writeSequences } from './writeSequences'

const folder = resolve(import.meta.dirname, '../../../../shared/data/families')
const names = ['llama3', 'qwen3', 'gpt2'].filter((name) => existsSync(join(folder, name)))
if (!names.length) console.warn('SKIPPED: writing by families of models needs ../shared/data/families')

const TINY: ModelConfig = {
  family: 'llama',
  vocab: 90,
  context: 64,
  width: 48,
  layers: 2,
  heads: 6,
  kvHeads: 2,
  hidden: 96,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

function open(name: string): LanguageModel {
  const { config, weights } = readHuggingFace(join(folder, name))
  return nativeModel(config, toTensors(weights))
}

/** Prompts of so many tokens, and streams that are named by the sequence. */
function promptsOf(model: LanguageModel, lengths: readonly number[]): number[][] {
  const random = createRandom(5, 'prompts')
  return lengths.map((length) => Array.from({ length }, () => random.integer(model.vocab)))
}
const streams = (seed: number) => (row: number) => createRandom(seed, `sequence/${row}`)
const greedy = { temperature: 0, topP: 1, ends: [] }

describe.each(names)('%s writes many sequences', (name) => {
  it('as it writes each of them alone', async () => {
    const model = open(name)
    const prompts = promptsOf(model, [1, 30, 7, 64, 2, 17, 16, 45, 3])
    const tokens = [20, 4, 33, 20, 1, 20, 25, 20, 0]
    const together = await writeSequences(model, prompts, { ...greedy, tokens, random: streams(1) })
    expect(together.map(({ length }) => length)).toEqual(tokens)
    for (const [row, prompt] of prompts.entries()) {
      const options = { ...greedy, tokens: tokens[row]!, random: streams(1) }
      expect(await writeAlone(model, prompt, options)).toEqual(together[row])
    }
    model.dispose()
  })

  it('by streams of their own, whatever else is written', async () => {
    const model = open(name)
    const prompts = promptsOf(model, [9, 4, 21, 40, 12])
    const options = { temperature: 1.2, topP: 0.95, topK: 60, ends: [], tokens: 24 }
    const together = await writeSequences(model, prompts, { ...options, random: streams(2) })
    const others = await writeSequences(model, [prompts[3]!, prompts[1]!], {
      ...options,
      random: (row) => streams(2)([3, 1][row]!),
    })
    expect(others).toEqual([together[3], together[1]])
    expect(await writeSequences(model, prompts, { ...options, random: streams(3) })).not.toEqual(together)
    model.dispose()
  })

  it('each to its end token, which belongs to it', async () => {
    const model = open(name)
    const prompts = promptsOf(model, [5, 11, 3])
    const free = await writeSequences(model, prompts, { ...greedy, tokens: 20, random: streams(1) })
    const ends = [free[0]![4]!, free[2]![9]!]
    const ended = await writeSequences(model, prompts, { ...greedy, tokens: 20, ends, random: streams(1) })
    const cut = free.map((ids) => ids.slice(0, 1 + ids.findIndex((id) => ends.includes(id)) || ids.length))
    expect(ended).toEqual(cut)
    model.dispose()
  })
})

describe('what a decoder says of a text', () => {
  // The sums over the hidden units are long enough to be cut.
  const config: ModelConfig = { ...TINY, context: 300, hidden: 1100 }
  const random = createRandom(3, 'texts')
  const text = (length: number) => Array.from({ length }, () => random.integer(config.vocab))

  it('is the same to the last bit beside others, longer or gone ones, and without any', async () => {
    const parameters = toTensors(initialise(config, 4))
    const own = text(130)
    const others = Array.from({ length: 20 }, (_, i) => text(7 * i + 3))
    const read = async (beside: number, length: number) => {
      const decoder = new Decoder(config, parameters, { texts: 32, length })
      const said = []
      for (let at = 20; at < own.length; at++) {
        const turns = others
          .slice(0, beside)
          .flatMap((ids, i) => (at < 60 + i ? [{ text: i, ids: at === 20 ? ids : [at % 90] }] : []))
        const mine = { text: 99, ids: at === 20 ? own.slice(0, 21) : [own[at]!] }
        const order = at % 2 ? [mine, ...turns] : [...turns, mine]
        said.push(...(await decoder.read(order))[order.indexOf(mine)]!)
        for (let i = 0; i < beside; i++) if (at === 59 + i) decoder.forget(i)
      }
      decoder.dispose()
      return said
    }
    const alone = await read(0, 140)
    expect(await read(3, 300)).toEqual(alone)
    expect(await read(20, 300)).toEqual(alone)
    tf.dispose([...parameters.values()])
  })

  it('needs no memory beyond its weights, its cache and what a pass holds', async () => {
    const parameters = toTensors(initialise(config, 4))
    const before = tf.memory().numTensors
    const decoder = new Decoder(config, parameters)
    await decoder.read([{ text: 0, ids: text(40) }])
    for (let i = 0; i < 4; i++) await decoder.read([{ text: 0, ids: [i] }])
    decoder.dispose()
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([...parameters.values()])
  })
})

it('begins a sequence where another one has ended, and goes on where a context is full', async () => {
  const config: ModelConfig = { ...TINY, context: 40 }
  const model = nativeModel(config, toTensors(initialise(config, 6)))
  const random = createRandom(8, 'prompts')
  const prompts = Array.from({ length: 70 }, (_, i) =>
    Array.from({ length: 1 + ((i * 7) % 50) }, () => random.integer(config.vocab)),
  )
  const tokens = prompts.map((_, i) => (i * 11) % 60)
  const options = { temperature: 1.5, topP: 1, ends: [3], random: streams(4) }
  const together = await writeSequences(model, prompts, { ...options, tokens })
  for (const row of [0, 13, 31, 32, 50, 69]) {
    const limits = { tokens: tokens[row]!, random: () => streams(4)(row) }
    expect(await writeSequences(model, [prompts[row]!], { ...options, ...limits })).toEqual([together[row]])
  }
  for (const [row, ids] of together.entries()) {
    if (ids.at(-1) !== 3) expect(ids).toHaveLength(tokens[row]!)
    expect(ids.slice(0, -1)).not.toContain(3)
  }
  model.dispose()
})
