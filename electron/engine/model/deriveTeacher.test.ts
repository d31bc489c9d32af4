import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { teacher, type ModelConfig } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { deriveTeacher } from './deriveTeacher'
import { createTables, forward } from './forward'
import { readModel, writeModel } from './modelFolder'
import { initialise, toTensors } from './weights'

const dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

it.each([true, false])(
  'a derived teacher (tied head: %s) has the same states and scaled logits',
  async (tied) => {
    const config: ModelConfig = {
      family: 'llama',
      vocab: 20,
      width: 8,
      layers: 1,
      heads: 2,
      kvHeads: 1,
      hidden: 16,
      context: 6,
      tied,
      ropeBase: 10000,
      normEpsilon: 1e-5,
    }
    await startBackend('onnx', { threads: 1 })
    const folder = (id: string) => join(dataDir, 'library', 'teachers', id)
    const digest = await writeModel(folder('plain'), config, initialise(config, 3))
    const from = teacher.parse({
      id: 'plain',
      name: 'plain',
      source: 'trained',
      tokenizer: 'tok',
      model: config,
      parameters: 1,
      digest,
      createdAt: '2026-01-01T00:00:00.000Z',
    })
    const job = { dataDir, threads: 0, kind: 'derive-teacher' as const, id: 'sure', name: 'sure', from }
    const row = await deriveTeacher({ ...job, logitScale: 3 })
    expect(teacher.parse(row)).toMatchObject({ source: 'derived', derived: { from: 'plain', logitScale: 3 } })
    expect(row.digest).not.toBe(digest)

    const read = async (id: string) => {
      const { config: own, weights } = await readModel(folder(id))
      const tokens = tf.tensor2d([[1, 5, 2, 9, 0, 19]], [1, 6], 'int32')
      const { logits, hidden } = forward(own, toTensors(weights), tokens, createTables(own, 6))
      return { logits: await logits.data(), last: await hidden.at(-1)!.data() }
    }
    const [plain, sure] = [await read('plain'), await read('sure')]
    expect(Array.from(sure.last)).toEqual(Array.from(plain.last))
    for (const [i, value] of sure.logits.entries()) expect(value).toBeCloseTo(3 * plain.logits[i]!, 4)
    rmSync(folder('sure'), { recursive: true })
  },
)
