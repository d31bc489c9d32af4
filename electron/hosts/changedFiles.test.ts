import { closeSync, existsSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { Run } from '#contract'
import type { Services } from '../services'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
let services: Services
let run: Run

const shape = { width: 16, layers: 1, heads: 2, context: 24 }
const train = { steps: 10, batch: 4, context: 24, learningRate: 0.003, warmup: 2 }
const evaluate = { every: 0, tokens: 300 }
const bare = { loss: { features: false } }
const definition = (name: string, changes: object = {}) =>
  stringify({
    name,
    corpus: 'recipes',
    tokenizer: 'bpe',
    student: shape,
    teachers: [],
    train,
    evaluate,
    ...changes,
  })

const start = (name: string, changes?: object) =>
  services.rooms.experiments.start({ definition: definition(name, changes) }).id

/** What a run that cannot begin says. */
async function begun(name: string, changes?: object): Promise<void> {
  const { status, reason } = await services.rooms.queue.finished(start(name, changes))
  if (status !== 'completed') throw new Error(reason)
}

beforeAll(async () => {
  furnished = await openFurnished()
  services = furnished.services
  await furnished.teach({ name: 'cook', corpus: 'recipes', tokenizer: 'bpe', model: shape, train, evaluate })
  await services.rooms.models.export('cook', { format: 'onnx', out: join(furnished.folder, 'exported') })
  const path = join(furnished.folder, 'exported', 'model.onnx')
  await services.rooms.library.importTeacher({ path, name: 'cook-onnx', tokenizerPath: 'bpe' })
  run = await furnished.completed(start('student', { teachers: ['cook', 'cook-onnx'], ...bare }))
}, 60_000)
afterAll(() => furnished.close())

/** Flips one bit in the middle of a file, and once more: the file is what it was. */
async function flipped(file: string, work: () => Promise<unknown>): Promise<void> {
  const flip = () => {
    const at = statSync(file).size >> 1
    const handle = openSync(file, 'r+')
    const byte = Buffer.alloc(1)
    readSync(handle, byte, 0, 1, at)
    byte[0]! ^= 1
    writeSync(handle, byte, 0, 1, at)
    closeSync(handle)
  }
  flip()
  try {
    await work()
  } finally {
    flip()
  }
}

const item = (noun: string, name: string, file: string) => {
  const rows = services.rooms.library[noun as 'teachers' | 'corpora' | 'tokenizers']
  return join(furnished.dataDir, 'library', noun, rows.find((row) => row.name === name)!.id, file)
}

describe('one flipped bit', () => {
  it('in the weights of a checkpoint: none of them becomes a file, a score, a text or a comparison', async () => {
    const { models, disagreement } = services.rooms
    const file = join(furnished.dataDir, 'runs', run.id, 'checkpoints', 'step-000010', 'model.safetensors')
    const out = join(furnished.folder, 'out')
    const prompt = { model: run.id, prompt: 'Stir', tokens: 2, temperature: 0, topP: 1, seed: 1 }
    const control = { signal: new AbortController().signal, progress: () => {} }
    const refused =
      /the weights have changed since the checkpoint was written \(.*step-000010.model\.safetensors/
    await flipped(file, async () => {
      for (const format of ['hf', 'onnx', 'llama2c'] as const)
        await expect(models.export(run.id, { format, out })).rejects.toThrow(refused)
      expect(existsSync(out)).toBe(false)
      await expect(models.evaluate([run.id], ['recipes'], { tokens: 100 })).rejects.toThrow(refused)
      await expect(models.generate(prompt)).rejects.toThrow(refused)
      await expect(disagreement.read({ id: run.id, first: 1 }, control)).rejects.toThrow(refused)
    })
    expect((await models.export(run.id, { format: 'hf', out })).files).toHaveLength(6)
  })

  it.each(['cook', 'cook-onnx'])(
    'in the weights of the teacher %s: it neither teaches nor is scored',
    async (name) => {
      const { models } = services.rooms
      const refused =
        /(weights|model).* ha(s|ve) changed since it joined the library; import it again \(.*model\.(safetensors|onnx)/
      await flipped(
        item('teachers', name, name === 'cook' ? 'model.safetensors' : 'model.onnx'),
        async () => {
          await expect(models.evaluate([name], ['recipes'], { tokens: 100 })).rejects.toThrow(refused)
          await expect(models.calibrate([name], ['recipes'])).rejects.toThrow(refused)
          await expect(begun(`taught-${name}`, { teachers: [name], ...bare })).rejects.toThrow(refused)
        },
      )
    },
  )

  it('in the weights of a teacher: no student begins with its layers, no teacher is derived from it', async () => {
    const { library } = services.rooms
    const refused = /the weights of teacher "cook" have changed since it joined the library/
    await flipped(item('teachers', 'cook', 'model.safetensors'), async () => {
      const init = { teacher: 'cook', layers: 'first' }
      const changes = {
        teachers: ['cook'],
        student: { ...shape, init },
        loss: { lambda: 0, features: false },
      }
      await expect(begun('begun', changes)).rejects.toThrow(refused)
      const derived = library.deriveTeacher({ name: 'sure', from: 'cook', logitScale: 2 })
      await expect(derived).rejects.toThrow(refused)
    })
  })

  it('in a tokenizer or in the text of a corpus: no tokens are made of it', async () => {
    const { library } = services.rooms
    await flipped(item('tokenizers', 'bpe', 'tokenizer.json'), async () => {
      await expect(begun('other-pieces')).rejects.toThrow(
        /tokenizer "bpe" has changed since it joined the library/,
      )
    })
    await flipped(item('corpora', 'sums', 'documents.jsonl'), async () => {
      const refused = /the text of corpus "sums" has changed since it was imported/
      await expect(begun('other-text', { corpus: 'sums' })).rejects.toThrow(refused)
      const pieces = library.trainTokenizer({ name: 'other', corpora: ['sums'], vocab: 280 })
      await expect(pieces).rejects.toThrow(refused)
    })
  })
})
