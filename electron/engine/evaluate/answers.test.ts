import { beforeAll, expect, it } from 'vitest'
import { startBackend } from '../backend'
import { nativeModel } from '../model/languageModel'
import { initialise, toTensors } from '../model/weights'
import { GREEDY, writeSequences } from '../model/writeSequences'
import { letters } from '../teachers/served/testing'
import { model as config } from '../train/testing'
import { answerAll, heldOutQuestions } from './answers'

beforeAll(() => startBackend('onnx', { threads: 1 }))

it('questions are the counted tokens with all that stands before them in their conversation', () => {
  const ids = Int32Array.from({ length: 14 }, (_, i) => i)
  const mask = Uint8Array.from([0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1])
  const documents = Int32Array.of(0, 6, 6, 10, 10, 14)
  const all = [
    { prompt: [0, 1], answer: [2, 3] },
    { prompt: [0, 1, 2, 3, 4], answer: [5] },
    { prompt: [6, 7, 8], answer: [9] },
  ]
  // The last answer may go on behind what was read.
  expect(heldOutQuestions({ ids, mask, documents }, 9, 6)).toEqual(all)
  expect(heldOutQuestions({ ids, mask, documents }, 9, 5)).toEqual([all[0], all[2]])
  expect(heldOutQuestions({ ids, mask, documents }, 2, 6)).toEqual([all[0], all[1]])
  expect(heldOutQuestions({ ids, documents }, 9, 6)).toEqual([])
})

it('an answer is exact where it is the very one, token for token', async () => {
  const model = nativeModel(config, toTensors(initialise(config, 5)))
  const tokenizer = letters(config.vocab)
  const prompts = [
    [3, 1, 4],
    [5, 9],
    [2, 6, 5, 3],
  ]
  const own = await writeSequences(model, prompts, { ...GREEDY, tokens: 3, ends: [] })
  const questions = prompts.map((prompt, i) => ({ prompt, answer: [...own[i]!] }))
  questions[1]!.answer[2] = (questions[1]!.answer[2]! % (config.vocab - 1)) + 1
  const { exact, continuations } = await answerAll({ model, tokenizer }, questions)
  expect(exact).toBe(2)
  expect(continuations.map(({ prompt }) => prompt)).toEqual(['cad', 'ei', 'bfec'])
  expect(continuations.map(({ text, reference }) => text === reference)).toEqual([true, false, true])
  expect(continuations[0]!.text).toBe(tokenizer.decode(own[0]!))
})
