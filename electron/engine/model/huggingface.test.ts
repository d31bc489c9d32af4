import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { rotaries, type ModelConfig } from '#contract'
import { huggingFaceConfig, huggingFaceWeights } from './exportHuggingFace'
import { readHuggingFace } from './huggingface'
import { frequencies } from './rotary'
import { encodeSafetensors } from './safetensorsWriter'
import { initialise } from './weights'

const model: ModelConfig = {
  family: 'llama',
  vocab: 23,
  width: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  hidden: 24,
  context: 64,
  tied: false,
  ropeBase: 10000,
  normEpsilon: 1e-6,
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-hf-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const weights = () => huggingFaceWeights(model, initialise(model, 1))
const bytes = () => Buffer.from(encodeSafetensors(weights()))

/** A folder of transformers with keys of its configuration changed; undefined takes one away. */
function write(changes: Record<string, unknown> = {}, file: Uint8Array = bytes()): void {
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...huggingFaceConfig(model, 1), ...changes }))
  writeFileSync(join(folder, 'model.safetensors'), file)
}

describe('a configuration', () => {
  it.each([
    ['a key that nobody knows', { attention_sinks: 4 }, /config\.json: attention_sinks: .*\(it is 4\)/],
    ['a quantised model', { quantization_config: { bits: 4 } }, /quantization_config/],
    ['pairs that are interleaved', { rope_interleaved: true }, /rope_interleaved: .*expected false/],
    ['another activation', { hidden_act: 'mish' }, /hidden_act/],
    ['part of a head turned', { partial_rotary_factor: 0.5 }, /partial_rotary_factor: .*expected 1/],
    ['an unknown scaling', { rope_scaling: { rope_type: 'spiral' } }, /rope_scaling\.rope_type/],
    ['a scaling without its factor', { rope_scaling: { type: 'linear' } }, /rope_scaling\.factor/],
    [
      'an unknown key of the scaling',
      { rope_scaling: { type: 'linear', factor: 2, mrope_section: [1] } },
      /rope_scaling\.mrope_section/,
    ],
    ['a size that is none', { hidden_size: '16' }, /hidden_size/],
    ['no size', { intermediate_size: undefined }, /intermediate_size: the key is missing/],
    [
      'an unknown family',
      { model_type: 'mamba' },
      /model_type: .*"mamba" is not supported.*expected llama, /,
    ],
    ['heads that do not share keys', { num_key_value_heads: 3 }, /3 key\/value heads do not divide 2 heads/],
  ])('is refused with %s, which is named', (_, changes, message) => {
    write(changes)
    expect(() => readHuggingFace(folder)).toThrow(message)
  })

  it('may have keys that change nothing, and keys that are as they would be without', () => {
    write({ initializer_range: 0.1, pretraining_tp: 2, rope_interleaved: false, sliding_window: null })
    expect(readHuggingFace(folder).config).toEqual(model)
  })

  it('has its rotary positions in the old spelling or in the new', () => {
    const scaling = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    }
    write({ rope_theta: 500000, rope_scaling: { ...scaling, rope_type: 'llama3' } })
    const old = readHuggingFace(folder).config
    write({
      rope_theta: undefined,
      rope_parameters: { ...scaling, rope_type: 'llama3', rope_theta: 500000 },
      torch_dtype: undefined,
      dtype: 'float32',
    })
    expect(readHuggingFace(folder).config).toEqual(old)
    expect(old.ropeBase).toBe(500000)
    const [{ values }] = [frequencies(rotaries(old)[0]!, 1)]
    // Llama 3's ramp by hand: 32 positions make 5.09 turns at frequency 1, and 0.19 at 500000^(-1/4).
    expect(values[0]).toBe(1)
    expect(values[1]).toBeCloseTo(500000 ** (-1 / 4) / 8, 12)
  })
})

describe('weights', () => {
  it.each([
    [
      'one is missing',
      (w: ReturnType<typeof weights>) => w.delete('model.norm.weight'),
      /model\.norm\.weight: .*missing/,
    ],
    [
      'there is one too many',
      (w: ReturnType<typeof weights>) => w.set('score.weight', { shape: [1], data: Float32Array.of(1) }),
      /score\.weight: the model has no such tensor/,
    ],
    [
      'one has another shape',
      (w: ReturnType<typeof weights>) => (w.get('model.norm.weight')!.shape = [4, 4]),
      /model\.norm\.weight: the tensor has shape \[4, 4\].*expected \[16\]/,
    ],
    [
      'a value is none',
      (w: ReturnType<typeof weights>) => (w.get('model.norm.weight')!.data[3] = NaN),
      /model\.norm\.weight: the value at place 3 is NaN/,
    ],
  ])('are refused where %s', (_, change, message) => {
    const changed = weights()
    change(changed)
    write({}, encodeSafetensors(changed))
    expect(() => readHuggingFace(folder)).toThrow(message)
  })

  it('are refused where the file is shorter than its header says, before room is made for them', () => {
    write({}, bytes().subarray(0, -8))
    expect(() => readHuggingFace(folder)).toThrow(/the file ends at byte/)
    const header = Buffer.from(
      '{"model.norm.weight":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
    )
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    write({}, Buffer.concat([length, header]))
    expect(() => readHuggingFace(folder)).toThrow(/model\.norm\.weight: the file ends at byte/)
  })

  it('that are a pickle are refused, with the way to convert them', () => {
    write()
    rmSync(join(folder, 'model.safetensors'))
    writeFileSync(join(folder, 'pytorch_model.bin'), 'x')
    expect(() => readHuggingFace(folder)).toThrow(/pytorch_model\.bin: .*pickle.*save_pretrained/)
  })

  it('are refused with an adapter in their folder, which names its base and the way to merge it', () => {
    write()
    writeFileSync(join(folder, 'adapter_model.safetensors'), 'x')
    expect(() => readHuggingFace(folder)).toThrow(
      /adapter_model\.safetensors: it is an adapter, which is not merged here/,
    )
    writeFileSync(join(folder, 'adapter_config.json'), '{"base_model_name_or_path":"Qwen/Qwen2.5-0.5B"}')
    const refused =
      /adapter_config\.json: it is an adapter of Qwen\/Qwen2\.5-0\.5B, .*expected the whole model.*merge_and_unload/
    expect(() => readHuggingFace(folder)).toThrow(refused)
    for (const name of ['config.json', 'model.safetensors']) rmSync(join(folder, name))
    expect(() => readHuggingFace(folder)).toThrow(refused)
  })

  it('in shards are where their index says that they are, and nowhere else; one whole file goes before them', () => {
    const [a, b] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    const all = [...weights()]
    const index = (map: Record<string, string>) =>
      writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
    const split = (first: typeof all, second: typeof all) => {
      writeFileSync(join(folder, a), encodeSafetensors(new Map(first)))
      writeFileSync(join(folder, b), encodeSafetensors(new Map(second)))
    }
    const [early, late] = [all.slice(0, 3), all.slice(3)]
    const right = Object.fromEntries(all.map(([name], i) => [name, i < 3 ? a : b]))
    const [name] = early[0]!
    write()
    rmSync(join(folder, 'model.safetensors'))
    split(early, late)
    index(right)
    const whole = readHuggingFace(folder)
    for (const [which, { data }] of initialise(model, 1)) expect(whole.weights.get(which)!.data).toEqual(data)
    // Old indices tell of buffers that were not written.
    index({ ...right, 'model.layers.0.self_attn.rotary_emb.inv_freq': a })
    expect(readHuggingFace(folder)).toEqual(whole)

    index({ ...right, [name]: b })
    expect(() => readHuggingFace(folder)).toThrow(
      new RegExp(`index\\.json: weight_map\\.${name}: the tensor is not in ${b}; expected ${a}$`),
    )
    index({ ...right, 'model.layers.9.x': b })
    expect(() => readHuggingFace(folder)).toThrow(/weight_map\.model\.layers\.9\.x: the tensor is not in/)
    index(right)
    split(early, [...late, [name, { ...early[0]![1], data: early[0]![1].data.map((value) => -value) }]])
    expect(() => readHuggingFace(folder)).toThrow(new RegExp(`${b}: ${name}: the tensor is in ${a} too`))
    // As transformers has it.
    write()
    expect(readHuggingFace(folder)).toEqual(whole)
  })

  it('of the model without its head’s prefix are found, and a head that is not the embedding stays', () => {
    const bare = new Map([...weights()].map(([name, w]) => [name.replace(/^model\./, ''), w]))
    write({}, encodeSafetensors(bare))
    const { weights: read } = readHuggingFace(folder)
    expect(read.get('model.norm.weight')).toEqual(weights().get('model.norm.weight'))
    write({ tie_word_embeddings: true })
    const untied = readHuggingFace(folder)
    expect(untied.config.tied).toBe(false)
    expect(untied.weights.get('lm_head.weight')).toEqual(weights().get('lm_head.weight'))
    const same = weights()
    same.set('lm_head.weight', same.get('model.embed_tokens.weight')!)
    write({ tie_word_embeddings: true }, encodeSafetensors(same))
    expect(readHuggingFace(folder).config.tied).toBe(true)
  })
})
