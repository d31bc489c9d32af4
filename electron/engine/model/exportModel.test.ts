import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportJob, type ExportDtype, type ExportFormat } from '#contract'
import { startBackend } from '../backend'
import { importTokenizer } from '../data/importTokenizer'
import { openTokenizer } from '../data/tokenizer'
import { exportModel } from './exportModel'
import { numbersOf, readGguf } from './gguf/testing'
import { readHuggingFace } from './huggingface'
import { checkOnnx } from './onnx/importOnnx'
import { writeModel } from './modelFolder'
import { readSafetensors } from './safetensors'
import { withVocabulary } from './vocabulary'

const families = resolve(import.meta.dirname, '../../../../shared/data/families')
const names = existsSync(families) ? readdirSync(families).sort() : []
if (!names.length) console.warn('SKIPPED: exports of models need ../shared/data/families')

/**
 * SHA-256 of the GGUF files in f32 from which llama.cpp (llama-cpp-python 0.3.36) generated the 16 ids of
 * `expected.json`, each.
 */
const GENERATED: Readonly<Record<string, string>> = {
  gemma2: '3c346e5de9d8be807272b7435b1d5d7c180f0366c785a11bc6403c47c43a86a4',
  gemma3: '3e93b2e09889ee34d74bdda47599bf98c389cccd2ddd48db0b90f22331cf23b0',
  'gpt-neox': 'ff6861d6f4aada14f88e893fa7307a3f03fbd4ea626dbdd10db09cd8fcf5b032',
  'gpt2-f16': '6f063c51d6371d1ef532b5f3f3f6d862fa960343ace6e11eea6d0d1648c0f771',
  gpt2: '79b047b5851f34c7202dc40f0f3cd3f0f3a4a6df3c7c9b3bf040786734544698',
  granite: '72b463552d9fbdaedde6f4928cd628cbed8f6716fe6b1fe772e4bc137a1fa6e0',
  'llama-headdim-bias': 'fea7cd3320886205b09b7522d9e280edc0c1b5c9d4385fb686094711860bb936',
  'llama-linear': '7302617023b9929fdf7d638b55fb15d2fb7c1974dad53fe6e82bb335633736ca',
  'llama-theta': '4196cf099f39ca717e2db6d5db6c9e2ea131be46ffe0dced8a71a30f10bfda63',
  'llama-yarn': 'fe035aa501e8e17f808b8208a61a5ef3cf9461ab0da36dbeef43df3f00b4df78',
  llama2: '0a5bc12323a2876e03e59229732456c6d6783d41885968025da19709bf952094',
  'llama2-sharded': '1d8b3c4194622a35fee7dc2cbc88ae3b6d795946078dce84ed98a603254ddccc',
  llama3: '6f732192b93fcd7a0a300ce89ba8e620ee69764e4b4d50e87755c818bc93c753',
  olmo2: '4b8959ab36d9204a3f45f73c79a040ac6302cb372a3bfa739da0ac096136f3b8',
  phi3: '62daf72b127781055f8f76cb8c98aa0bce93e320be886257bd6510bb58b937ea',
  'qwen2-bf16': '2afba55b6adf795991ee4a8a24396a77afcb35a393902b6934d4614822ac79a7',
  qwen2: 'd698f16ada3d23361f6f0c9ddd63e3eee8782349b21d9e36f29529dfe8c4111f',
  qwen3: 'f8c9a14a6e1fc1c94187b92399a6d944742a51b9a8948b83e4747f7eb7d09b78',
  smollm3: 'cbceeeb327fe1e4d6116bd0e8b2c31eba04da477e8f1d40ae6cb9304454ab59d',
  stablelm: '2a6caadc2a5fc0af19b847e6ff6a4ae22ebd8b40cde6c35cd57b08fdafb89814',
}

/** What llama.cpp cannot compute, and says so. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  mistral: /format: llama\.cpp's llama cannot compute windows of 8 tokens in a context of 256/,
  opt: /format: llama\.cpp does not know the family "opt"; expected hf or onnx/,
}

const dataDir = mkdtempSync(join(tmpdir(), 'retort-export-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

interface Expected {
  ids: number[]
  nll: number
  greedy: number[]
}

/** A family's model as it lies in a data directory, and how it is exported. */
async function furnish(name: string) {
  const path = join(families, name)
  const folder = join(dataDir, name)
  const tokenizer = await importTokenizer({
    kind: 'import-tokenizer',
    dataDir,
    threads: 1,
    id: name,
    name,
    path: join(path, 'tokenizer.json'),
  })
  const { config, weights } = readHuggingFace(path)
  await writeModel(folder, withVocabulary(config, tokenizer.vocab, path), weights)
  const write = async (
    format: ExportFormat,
    dtype: ExportDtype = 'f32',
    rest: Record<string, unknown> = {},
  ) => {
    const out = join(dataDir, `${name}-${format}-${dtype}`)
    const job = {
      kind: 'export',
      dataDir,
      threads: 1,
      model: { name, folder, tokenizer },
      format,
      dtype,
      out,
    }
    const result = await exportModel(exportJob.parse({ ...job, ...rest }), () => {})
    return { ...result, out }
  }
  return { path, write }
}

beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})

describe.each(names)('%s, exported', (name) => {
  it('as a folder of transformers in shards of 30 kB, is read back to the number', async () => {
    const { path, write } = await furnish(name)
    const { out, files } = await write('hf', 'f32', { shard: 30_000, card: '---\n---\n' })
    const shards = readdirSync(out).filter((file) => file.endsWith('.safetensors'))
    expect(shards.length).toBeGreaterThan(3)
    expect(shards[0]).toBe(`model-00001-of-0000${shards.length}.safetensors`)
    expect(files.map((file) => file.slice(out.length + 1)).sort()).toEqual(readdirSync(out).sort())
    const [theirs, ours] = [readHuggingFace(path), readHuggingFace(out)]
    expect(ours.config).toEqual(theirs.config)
    // All of them are written in f32, whatever type they came in.
    const numbers = ({ weights }: typeof ours) =>
      new Map([...weights].map(([tensor, { shape, data }]) => [tensor, { shape, data }]))
    expect(numbers(ours)).toEqual(numbers(theirs))
    const index = JSON.parse(readFileSync(join(out, 'model.safetensors.index.json'), 'utf8')) as {
      metadata: { total_size: number }
      weight_map: Record<string, string>
    }
    const stored = shards.flatMap((shard) =>
      [...readSafetensors(join(out, shard))].map(
        ([tensor, { data }]) => [tensor, shard, data.byteLength] as const,
      ),
    )
    expect(index.metadata.total_size).toBe(stored.reduce((sum, [, , bytes]) => sum + bytes, 0))
    expect(index.weight_map).toEqual(Object.fromEntries(stored.map(([tensor, shard]) => [tensor, shard])))
  })

  it('in bfloat16, has each number rounded to the nearest of 8 bits', async () => {
    const { path, write } = await furnish(name)
    const { out } = await write('hf', 'bf16')
    const { weights } = readHuggingFace(path)
    const rounded = readHuggingFace(out)
    const whole = readHuggingFace(path).config
    expect(rounded.config).toEqual(whole)
    for (const [tensor, { data }] of weights) {
      const own = rounded.weights.get(tensor)!.data
      for (const [i, value] of data.entries()) {
        // One part in 256 of the power of two below it, and half of that from the nearest.
        const step = value ? 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7) : 0
        if (Math.abs(own[i]! - value) > step / 2 || (step && own[i]! % step))
          expect.fail(`${tensor}[${i}]: ${own[i]} for ${value}`)
      }
    }
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, unknown>
    expect([config['torch_dtype'], config['dtype']]).toEqual(['bfloat16', 'bfloat16'])
  })

  it('as an ONNX file, gives what transformers says', async () => {
    const { path, write } = await furnish(name)
    const { ids, nll, greedy } = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as Expected
    const { out } = await write('onnx')
    const session = await InferenceSession.create(join(out, 'model.onnx'), { intraOpNumThreads: 1 })
    const all = [...ids, ...greedy]
    const feed = new Tensor('int64', BigInt64Array.from(all, BigInt), [1, all.length])
    const { logits } = await session.run({ input_ids: feed })
    await session.release()
    const { vocab } = JSON.parse(readFileSync(join(path, 'tokenizer.json'), 'utf8')).model as {
      vocab: Record<string, number>
    }
    const size = Object.keys(vocab).length
    const rows = logits!.dims[2]!
    const row = (at: number) => [...(logits!.data as Float32Array).subarray(at * rows, at * rows + size)]
    const surprise = (at: number, id: number) =>
      Math.log(row(at).reduce((sum, value) => sum + Math.exp(value), 0)) - row(at)[id]!
    const loss = ids.slice(1).reduce((sum, id, at) => sum + surprise(at, id), 0) / (ids.length - 1)
    expect(Math.abs(loss - nll)).toBeLessThan(/16$/.test(name) ? 1e-4 : 1e-5)
    const said = greedy
      .map((_, i) => row(ids.length - 1 + i))
      .map((values) => values.indexOf(Math.max(...values)))
    expect(said).toEqual(greedy)
  })

  it('as an ONNX file with a KV cache, lies beside what Optimum wants to know and is a teacher again', async () => {
    const { path, write } = await furnish(name)
    const { out, files, warnings } = await write('onnx', 'f32', { kvCache: true })
    const names = ['model.onnx', 'config.json', 'generation_config.json', 'tokenizer.json']
    expect(files.map((file) => basename(file))).toEqual(
      expect.arrayContaining([...names, 'tokenizer_config.json']),
    )
    expect(files.filter((file) => file.endsWith('.safetensors'))).toEqual([])
    const { vocab } = openTokenizer(join(path, 'tokenizer.json'), 'huggingface')
    // It is asked as a whole and in two parts.
    const { config } = await checkOnnx(join(out, 'model.onnx'), vocab)
    expect(config).toMatchObject({ family: 'onnx', vocab })
    const turns = /longrope/.test(readFileSync(join(path, 'config.json'), 'utf8'))
    expect(warnings).toEqual(
      turns ? [expect.stringMatching(/refuses .* beyond \d+ tokens .* read anew/)] : [],
    )
  })

  it.skipIf(name in REFUSED)('as GGUF, is the file that llama.cpp generated from', async () => {
    const { write } = await furnish(name)
    const { out } = await write('gguf')
    const digest = createHash('sha256')
      .update(readFileSync(join(out, 'model.gguf')))
      .digest('hex')
    expect({ [name]: digest }).toEqual({ [name]: GENERATED[name] })
  })

  it.runIf(name in REFUSED)('as GGUF, is refused in one line, and nothing is written', async () => {
    const { write } = await furnish(name)
    await expect(write('gguf')).rejects.toThrow(REFUSED[name])
    expect(existsSync(join(dataDir, `${name}-gguf-f32`))).toBe(false)
  })

  it.skipIf(name in REFUSED)('as GGUF in f16 and q8_0, is within the rounding of f32', async () => {
    const { write } = await furnish(name)
    const whole = readGguf(join((await write('gguf')).out, 'model.gguf'))
    for (const dtype of ['f16', 'q8_0'] as const) {
      const file = readGguf(join((await write('gguf', dtype)).out, 'model.gguf'))
      expect(file.metadata['general.file_type']).toBe(dtype === 'f16' ? 1 : 7)
      expect([...file.tensors.keys()]).toEqual([...whole.tensors.keys()])
      let rounded = 0
      for (const [tensor, stored] of file.tensors) {
        const [a, b] = [numbersOf(whole.tensors.get(tensor)!), numbersOf(stored)]
        if (stored.type === 0) {
          expect(b).toEqual(a)
          continue
        }
        rounded++
        for (let i = 0; i < a.length; i += 32) {
          const largest = Math.max(...a.slice(i, i + 32).map(Math.abs))
          for (let j = i; j < i + 32; j++) {
            // Half a step of a 127th, and the scale's own rounding; of f16 half of a 1024th.
            const most =
              dtype === 'q8_0' ? largest * (0.5 / 127 + 2 ** -11) : Math.abs(a[j]!) * 2 ** -11 + 2 ** -25
            if (Math.abs(a[j]! - b[j]!) > most * 1.0001) expect.fail(`${tensor}[${j}]: ${b[j]} for ${a[j]}`)
          }
        }
      }
      expect(rounded).toBeGreaterThan(7)
    }
  })
})

describe.skipIf(!names.length)('an export', () => {
  it('has the special tokens and the template that were beside the tokenizer', async () => {
    const folder = join(dataDir, 'with-template')
    mkdirSync(folder)
    const source = join(families, 'qwen2')
    for (const file of ['config.json', 'model.safetensors', 'tokenizer.json'])
      writeFileSync(join(folder, file), readFileSync(join(source, file)))
    const template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    const settings = {
      bos_token: '<s>',
      eos_token: { content: '</s>', lstrip: false },
      chat_template: template,
    }
    writeFileSync(
      join(folder, 'tokenizer_config.json'),
      JSON.stringify({ ...settings, tokenizer_class: 'X' }),
    )
    const tokenizer = await importTokenizer({
      kind: 'import-tokenizer',
      dataDir,
      threads: 1,
      id: 'chat',
      name: 'chat',
      path: join(folder, 'tokenizer.json'),
    })
    const { config, weights } = readHuggingFace(folder)
    const model = join(dataDir, 'chat-model')
    await writeModel(model, withVocabulary(config, tokenizer.vocab, folder), weights)
    const base = { kind: 'export', dataDir, threads: 1, model: { name: 'chat', folder: model, tokenizer } }
    const hf = join(dataDir, 'chat-hf')
    await exportModel(exportJob.parse({ ...base, format: 'hf', out: hf }), () => {})
    const read = (file: string) => JSON.parse(readFileSync(join(hf, file), 'utf8')) as unknown
    expect(read('tokenizer_config.json')).toEqual({
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: 256,
      clean_up_tokenization_spaces: false,
      bos_token: '<s>',
      eos_token: { content: '</s>', lstrip: false },
    })
    expect(readFileSync(join(hf, 'chat_template.jinja'), 'utf8')).toBe(template)
    expect(read('generation_config.json')).toEqual({
      bos_token_id: 0,
      eos_token_id: [0, 1],
      suppress_tokens: Array.from({ length: config.vocab - tokenizer.vocab }, (_, i) => tokenizer.vocab + i),
    })
    const gguf = join(dataDir, 'chat-gguf')
    await exportModel(exportJob.parse({ ...base, format: 'gguf', out: gguf }), () => {})
    const { metadata } = readGguf(join(gguf, 'model.gguf'))
    expect(metadata['tokenizer.chat_template']).toBe(template)
    expect(metadata['tokenizer.ggml.eos_token_id']).toBe(1)
  })

  it.each([
    ['hf', 'q8_0', /dtype: hf is not written in q8_0; expected f32 or bf16/],
    ['gguf', 'bf16', /dtype: gguf is not written in bf16; expected f32 or f16 or q8_0/],
    ['onnx', 'f16', /dtype: onnx is not written in f16; expected f32/],
  ] as const)('to %s in %s is refused, and nothing is written', async (format, dtype, message) => {
    const { write } = await furnish('llama2')
    await expect(write(format, dtype)).rejects.toThrow(message)
    expect(existsSync(join(dataDir, `llama2-${format}-${dtype}`))).toBe(false)
  })
})
