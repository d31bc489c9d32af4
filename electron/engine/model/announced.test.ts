import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readHuggingFace } from './huggingface'
import { decodeLlama2c } from './llama2c'
import { readModel } from './modelFolder'
import { decodeSafetensors } from './safetensors'
import { encodeSafetensors } from './safetensorsWriter'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What it throws, and how much memory came and went with it. */
function refused(act: () => unknown): { message: string; megabytes: number } {
  const before = process.memoryUsage().rss
  try {
    act()
  } catch (error) {
    return { message: (error as Error).message, megabytes: (process.memoryUsage().rss - before) / 2 ** 20 }
  }
  throw new Error('it was let in')
}

describe('a size that a header announces is held against the file before anything is made', () => {
  it('the layers of a llama2.c checkpoint', () => {
    const bytes = Buffer.alloc(28)
    for (const [i, value] of [8, 8, 1 << 24, 2, 2, 8, 8].entries()) bytes.writeInt32LE(value, 4 * i)
    const { message, megabytes } = refused(() => decodeLlama2c(bytes, 'x.bin'))
    expect(message).toMatch(/^x\.bin: n_layers: the file has 28 bytes; expected at least \d+ bytes/)
    expect(megabytes).toBeLessThan(100)
  })

  it('the layers of a model of ours', async () => {
    const config = { family: 'llama', vocab: 8, width: 8, heads: 2, kvHeads: 2, hidden: 8 }
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(new Map()))
    for (const [layers, said] of [
      [2 ** 32, /model\.json: layers: is too big; expected at most 10000/],
      [10_000, /model\.safetensors: the file has 0 tensors; expected those of 10000 layers/],
    ] as const) {
      const model = { schemaVersion: 1, ...config, layers, context: 8, tied: true }
      writeFileSync(join(folder, 'model.json'), JSON.stringify(model))
      await expect(readModel(folder)).rejects.toThrow(said)
    }
  })

  it('the layers of a family that lists their windows', () => {
    const family = join(import.meta.dirname, '../../../../shared/data/families/gemma3')
    if (!existsSync(family)) return console.warn('SKIPPED: ../shared/data/families is not here')
    const config = JSON.parse(readFileSync(join(family, 'config.json'), 'utf8')) as Record<string, unknown>
    delete config['layer_types']
    const own = mkdtempSync(join(folder, 'gemma3-'))
    writeFileSync(join(own, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 2 ** 32 }))
    copyFileSync(join(family, 'model.safetensors'), join(own, 'model.safetensors'))
    expect(refused(() => readHuggingFace(own)).message).toMatch(/config\.json: num_hidden_layers: .*10000/)
  })

  it('the layers of a configuration', () => {
    const faults = join(import.meta.dirname, '../../../../shared/faults/trust/hf-layers')
    if (!existsSync(faults)) return console.warn('SKIPPED: ../shared/faults/trust is not here')
    const { message, megabytes } = refused(() => readHuggingFace(faults))
    expect(message).toMatch(/config\.json: num_hidden_layers: /)
    expect(megabytes).toBeLessThan(100)
  })

  it('the type of a tensor, by a name that every object has', () => {
    const text = Buffer.from(
      JSON.stringify({ t: { dtype: 'constructor', shape: [1], data_offsets: [0, 4] } }),
    )
    const head = Buffer.alloc(8)
    head.writeBigUInt64LE(BigInt(text.length))
    const { message } = refused(() => decodeSafetensors(Buffer.concat([head, text, Buffer.alloc(4)]), 'x'))
    expect(message).toBe('x: t: the dtype constructor is not supported; expected F32, F16 or BF16')
  })

  it('the tensors of safetensors, the same bytes thousands of times', () => {
    const body = 4096
    const header: Record<string, unknown> = {}
    for (let i = 0; i < 8000; i++)
      header[`t${i}`] = { dtype: 'F32', shape: [body / 4], data_offsets: [0, body] }
    const text = Buffer.from(JSON.stringify(header))
    const head = Buffer.alloc(8)
    head.writeBigUInt64LE(BigInt(text.length))
    writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([head, text, Buffer.alloc(body)]))
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({
        model_type: 'llama',
        vocab_size: 8,
        hidden_size: 4,
        intermediate_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: 8,
      }),
    )
    expect(refused(() => readHuggingFace(folder)).message).toMatch(
      /model\.safetensors: t\d+: the data overlaps/,
    )
  })
})
