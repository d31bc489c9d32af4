import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  FINAL_NORM,
  layerWeight,
  parameterCount,
  parse,
  studentArchitecture,
  teacher,
  type Family,
  type ModelConfig,
  type Teacher,
} from '#contract'
import { sha256File } from '../../files'
import { startBackend } from '../backend'
import { deriveTeacher } from './deriveTeacher'
import { huggingFaceConfig, huggingFaceWeights } from './exportHuggingFace'
import { readHuggingFace } from './huggingface'
import { importTeacher } from './importTeacher'
import { readTeacher, readTeacherHead, WEIGHTS } from './modelFolder'
import { openSafetensors } from './safetensors'
import { writeSafetensors } from './safetensorsWriter'
import { initialise, type Half, type Weights } from './weights'

/** Bytes of a byte vocabulary that has 256 ids and one more, which begins a document. */
const tokenizer = resolve(import.meta.dirname, '../../../../shared/data/families/qwen2-bf16/tokenizer.json')

const root = mkdtempSync(join(tmpdir(), 'retort-types-'))
const dataDir = join(root, 'data')
beforeAll(() => startBackend('onnx', { threads: 1 }))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const bits = new Float32Array(1)
const word = new Uint32Array(bits.buffer)

/** Cut to what a half precision holds, by its definition: 8 significant bits, or 11 and steps of 2^-24. */
function cut(value: number, half: Half | undefined): number {
  if (!half) return value
  if (half === 'f16') {
    const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10)
    return value === 0 ? value : Math.trunc(value / step) * step
  }
  bits[0] = value
  word[0]! &= 0xffff0000
  return bits[0]
}

/** A folder of transformers with a model drawn from a seed, each of its tensors in a type. */
function folderOf(family: Family, typeOf: (name: string) => Half | undefined): string {
  const sizes = { width: 16, layers: 2, heads: 2 }
  const kvHeads = family === 'phi3' ? 1 : 2
  const rest = { hidden: 24, context: 64, tied: false, ropeBase: 10_000, normEpsilon: 1e-5 }
  const own = studentArchitecture(family, sizes)
  const config: ModelConfig = {
    family,
    vocab: 600,
    kvHeads,
    ...sizes,
    ...rest,
    ...(own && { architecture: own }),
  }
  const theirs: Weights = new Map()
  for (const [name, { shape, data }] of huggingFaceWeights(config, initialise(config, 5))) {
    const half = typeOf(name)
    // Some that are small enough to be subnormal halves, and a zero with a sign.
    const numbers = data.map((value, i) => (i === 1 ? -0 : cut(i % 7 ? value : value * 1e-5, half)))
    theirs.set(name, { shape, data: numbers, ...(half && { half }) })
  }
  const folder = mkdtempSync(join(root, family))
  writeFileSync(join(folder, 'config.json'), JSON.stringify(huggingFaceConfig(config, 1)))
  writeSafetensors(join(folder, WEIGHTS), { tensors: theirs, values: () => theirs })
  cpSync(tokenizer, join(folder, 'tokenizer.json'))
  return folder
}

async function imported(path: string, id: string): Promise<Teacher> {
  mkdirSync(dataDir, { recursive: true })
  const job = { kind: 'import-teacher' as const, dataDir, threads: 1, id, name: id, tokenizerId: `${id}-t` }
  return (await importTeacher({ ...job, path, format: 'auto' }, () => {})).teacher
}

const fileOf = (id: string) => join(dataDir, 'library', 'teachers', id, WEIGHTS)

/** The type of each tensor of a file, as its header says it. */
function typesOf(file: string): Record<string, string> {
  const bytes = readFileSync(file)
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString()) as Record<
    string,
    { dtype: string }
  >
  const { __metadata__: _, ...tensors } = header
  return Object.fromEntries(Object.entries(tensors).map(([name, { dtype }]) => [name, dtype]))
}

/** Bit for bit: zeros with a sign too. */
function expectSame(found: Weights, expected: Weights): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, { shape, data }] of expected) {
    expect(found.get(name)!.shape).toEqual(shape)
    expect(new Uint32Array(found.get(name)!.data.buffer), name).toEqual(new Uint32Array(data.slice().buffer))
  }
}

it.each(['f16', 'bf16', undefined] as const)(
  'a model in %s stays in it in the library, with tensors that are split or turned, and is the same number by number',
  async (half) => {
    for (const family of ['phi3', 'gpt2', 'gpt_neox'] as const) {
      const path = folderOf(family, () => half)
      const id = `${family}-${half}`
      const row = await imported(path, id)
      const file = fileOf(id)
      const { weights } = readHuggingFace(path)
      expect(new Set(Object.values(typesOf(file)))).toEqual(new Set([(half ?? 'f32').toUpperCase()]))
      expect(row.digest).toBe(await sha256File(file))
      const stored = await readTeacher(dataDir, row)
      expectSame(stored.weights, weights)
      // A header of a line a tensor, beside the numbers.
      const size = readFileSync(file).length - (half ? 2 : 4) * parameterCount(row.model as ModelConfig)
      expect(size).toBeLessThan(200 * weights.size)
      const { head } = await readTeacherHead(dataDir, row)
      expect(head.data).toEqual(weights.get('lm_head.weight')!.data.subarray(0, head.data.length))
    }
  },
)

it('tensors of several types stay what they are; one that is made of several is in a type that holds all', async () => {
  const path = folderOf('llama', (name) =>
    name.includes('norm') ? undefined : name.includes('mlp') ? 'f16' : 'bf16',
  )
  await imported(path, 'mixed')
  const types = typesOf(fileOf('mixed'))
  expect(types).toEqual(typesOf(join(path, WEIGHTS)))
  expect(new Set(Object.values(types))).toEqual(new Set(['F32', 'F16', 'BF16']))
})

it('what is derived from a model in half precision keeps it but for what was changed', async () => {
  const from = await imported(
    folderOf('llama', () => 'bf16'),
    'halved',
  )
  const row = await deriveTeacher({
    kind: 'derive-teacher',
    dataDir,
    threads: 1,
    id: 'sure',
    name: 'sure',
    from,
    logitScale: 1.3,
  })
  const types = typesOf(fileOf('sure'))
  expect(Object.keys(types).filter((name) => types[name] !== 'BF16')).toEqual([FINAL_NORM])
  const [own, theirs] = [await readTeacher(dataDir, row), await readTeacher(dataDir, from)]
  expect(own.weights.get(FINAL_NORM)!.data).toEqual(
    theirs.weights.get(FINAL_NORM)!.data.map((gain) => gain * 1.3),
  )
  const matrix = layerWeight(1, 'down')
  expect(own.weights.get(matrix)).toEqual(theirs.weights.get(matrix))
})

it('a library in which the same model lies in f32 is read as before', async () => {
  const path = folderOf('llama', () => 'bf16')
  const row = await imported(path, 'older')
  const { weights } = await readTeacher(dataDir, row)
  const wide: Weights = new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data }]))
  writeSafetensors(fileOf('older'), { tensors: wide, values: () => wide })
  expect(new Set(Object.values(typesOf(fileOf('older'))))).toEqual(new Set(['F32']))
  await expect(readTeacher(dataDir, row)).rejects.toThrow(/have changed since it joined the library/)
  const again = { ...row, digest: await sha256File(fileOf('older')) }
  expectSame((await readTeacher(dataDir, parse(teacher, again))).weights, weights)
})

it('a number that a type does not hold is never written in it', () => {
  const file = join(root, 'wrong.safetensors')
  for (const half of ['f16', 'bf16'] as const) {
    const wrong: Weights = new Map([['x', { shape: [2], data: Float32Array.of(1, 1 + 2 ** -20), half }]])
    expect(() => writeSafetensors(file, { tensors: wrong, values: () => wrong })).toThrow(/does not hold/)
    expect(() => openSafetensors(file)).toThrow(/missing/)
  }
})
