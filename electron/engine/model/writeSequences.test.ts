import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { createRandom } from '../random'
import { readHuggingFace } from './huggingface'
import { nativeModel } from './languageModel'
import type { LanguageModel } from './reader'
import { toTensors } from './weights'
import { writeSequences } from './writeSequences'

const folder = resolve(import.meta.dirname, '../../../../shared/data/families')
const names = ['llama3', 'qwen3', 'gpt2'].filter((name) => existsSync(join(folder, name)))
if (!names.length) console.warn('SKIPPED: writing by families of models needs ../shared/data/families')

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
      expect(await writeSequences(model, [prompt], options)).toEqual([together[row]])
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
