import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adapterShapes, exportJob, lora, type ExportFormat, type Lora } from '#contract'
import { startBackend } from '../backend'
import { importTokenizer } from '../data/importTokenizer'
import { createRandom } from '../random'
import { exportModel } from './exportModel'
import named from './fixtures/peft.json'
import { readHuggingFace } from './huggingface'
import { writeModel } from './modelFolder'
import { readSafetensors } from './safetensors'
import { withVocabulary } from './vocabulary'
import type { Weights } from './weights'

const families = resolve(import.meta.dirname, '../../../../shared/data/families')
const names = existsSync(families) ? readdirSync(families).sort() : []
if (!names.length) console.warn('SKIPPED: exports of adapters need ../shared/data/families')

const dataDir = mkdtempSync(join(tmpdir(), 'retort-peft-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
beforeAll(() => startBackend('onnx', { threads: 1 }))

/** A family's model with random adapters, in all parts of which there is something. */
async function furnish(name: string, own: Lora) {
  const path = join(families, name)
  const folder = mkdtempSync(join(dataDir, 'model-'))
  const file = join(path, 'tokenizer.json')
  const about = { dataDir, threads: 1, id: name, name, path: file }
  const tokenizer = await importTokenizer({ kind: 'import-tokenizer', ...about })
  const { config: theirs, weights } = readHuggingFace(path)
  const config = withVocabulary(theirs, tokenizer.vocab, path)
  const base = await writeModel(join(folder, 'base'), config, weights)
  const random = createRandom(3, name)
  const adapters: Weights = new Map(
    [...adapterShapes(config, own)].map(([adapter, shape]) => {
      const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => 0.2 * random.normal())
      return [adapter, { shape, data }]
    }),
  )
  await writeModel(folder, config, adapters, { ...own, base })
  const write = async (format: ExportFormat, model = folder) => {
    const out = mkdtempSync(join(dataDir, `${format}-`))
    const job = {
      kind: 'export',
      dataDir,
      threads: 1,
      model: { name, folder: model, tokenizer },
      format,
      out,
    }
    return { out, ...(await exportModel(exportJob.parse({ ...job, card: '---\n---\n' }), () => {})) }
  }
  return { path, folder, write }
}

interface PeftConfig {
  r: number
  lora_alpha: number
  fan_in_fan_out: boolean
  target_modules: string[]
  rank_pattern: Record<string, number>
  alpha_pattern: Record<string, number>
}

describe.each(names)('adapters of %s, exported for PEFT', (name) => {
  it.each<[string, Partial<Lora>]>([
    ['all', {}],
    ['attention', { targets: 'attention' }],
    ['few', { targets: ['query', 'value', 'down'] }],
  ])('beside %s matrices, add to the base what the merged model has', async (_, changes) => {
    const own = lora.parse({ rank: 3, alpha: 5, ...changes })
    const { write } = await furnish(name, own)
    const [{ out, files }, merged] = [await write('peft'), await write('hf')]
    expect(files.map((file) => file.slice(out.length + 1)).sort()).toEqual(
      [
        'README.md',
        'adapter_config.json',
        'adapter_model.safetensors',
        ...readdirSync(join(out, 'base')).map((file) => join('base', file)),
      ].sort(),
    )
    const config = JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8')) as PeftConfig
    const adapters = readSafetensors(join(out, 'adapter_model.safetensors'))
    const sum = readSafetensors(join(out, 'base', 'model.safetensors'))
    // By PEFT's rule: W + alpha / r B A, its transpose where a matrix is [in, out].
    const touched = new Set<string>()
    for (const [key, { shape, data: a }] of adapters) {
      const [, module] = /^base_model\.model\.(.*)\.lora_A\.weight$/.exec(key) ?? []
      if (!module) continue
      const { data: b } = adapters.get(key.replace('lora_A', 'lora_B'))!
      const [rank, from] = shape as [number, number]
      const target = config.target_modules.filter((one) => module.endsWith(`.${one}`))
      expect(target).toHaveLength(1)
      touched.add(target[0]!)
      expect(rank).toBe(config.rank_pattern[target[0]!] ?? config.r)
      const scale = (config.alpha_pattern[target[0]!] ?? config.lora_alpha) / rank
      const { data } = sum.get(`${module}.weight`)!
      const out = data.length / from
      for (let o = 0; o < out; o++) {
        for (let i = 0; i < from; i++) {
          let product = 0
          for (let r = 0; r < rank; r++) product += b[o * rank + r]! * a[r * from + i]!
          data[config.fan_in_fan_out ? i * out + o : o * from + i]! += scale * product
        }
      }
    }
    expect([...touched].sort()).toEqual([...config.target_modules].sort())
    const whole = readSafetensors(join(merged.out, 'model.safetensors'))
    expect([...sum.keys()].sort()).toEqual([...whole.keys()].sort())
    for (const [tensor, { data }] of whole) {
      const given = sum.get(tensor)!.data
      const largest = data.reduce((most, value, i) => Math.max(most, Math.abs(value - given[i]!)), 0)
      expect(largest, tensor).toBeLessThan(1e-5)
    }
  })
})

describe.skipIf(!names.length)('an adapter’s folder', () => {
  /**
   * Names and shapes of `get_peft_model_state_dict(get_peft_model(base, LoraConfig(r=3, lora_alpha=5, ...)))` of peft
   * 0.21.2, of the family's first layer, with rank 9 for what is fused of three and 6 of two.
   */
  it.each(Object.entries(named))('has the tensors that PEFT makes of %s', async (name, expected) => {
    const { write } = await furnish(name, lora.parse({ rank: 3, alpha: 5 }))
    const { out } = await write('peft')
    const tensors = [...readSafetensors(join(out, 'adapter_model.safetensors'))]
    const first = tensors.filter(([key]) => /\.0\./.test(key)).map(([key, { shape }]) => [key, shape])
    expect(Object.fromEntries(first)).toEqual(expected)
  })

  it('is not made of a model without adapters, and nothing is written', async () => {
    const { folder, write } = await furnish('qwen3', lora.parse({}))
    await expect(write('peft', join(folder, 'base'))).rejects.toThrow(
      'the model has no adapters; expected one that was trained with student.lora',
    )
  })
})
