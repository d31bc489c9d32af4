/* eslint-disable max-lines -- one kind of teacher, whose models are built here */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { alignableLayers, type Teacher, weightShapes } from '#contract'
import { startBackend } from '../backend'
import type { LazyBackend } from '../backend/lazyBackend'
import { encodeOnnx } from '../backend/onnx'
import type { OnnxModel, ValueInfo } from '../backend/onnxModel'
import { ProtoWriter } from '../backend/protobuf'
import { tf } from '../backend/tf'
import { webgpuObstacle } from '../backend/webgpuObstacle'
import { encodeOnnxModel } from '../model/exportOnnx'
import { generate } from '../model/generate'
import { argMax } from '../model/sampling'
import { openLanguageModel } from '../model/languageModel'
import { createTables, forward } from '../model/forward'
import { readModel } from '../model/modelFolder'
import { checkOnnx, storeOnnx } from '../model/onnx/importOnnx'
import { OnnxSession } from '../model/onnx/session'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import { runConfig, teacherModel } from '../train/testing'
import { openLiveTeacher } from './live'
import { onnxSource } from './onnx'

let folder: string
beforeAll(async () => {
  await startBackend('onnx', { threads: 1 })
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retort-'))
  return () => rmSync(folder, { recursive: true, force: true })
})

const VOCAB = 5

/** A node that gives one axis, as operators take it from opset 18 on. */
const axis = (value: bigint): OnnxModel['nodes'][number] => ({
  name: 'Constant',
  inputs: [],
  outputs: ['axis'],
  attributes: {
    value: {
      tensor: { name: 'a', type: 'int64', shape: [1], bytes: new Uint8Array(BigInt64Array.of(value).buffer) },
    },
  },
})
const table = Float32Array.from({ length: VOCAB * VOCAB }, (_, i) => Math.sin(i))
const ids = (
  shape: (number | string)[],
  name = 'input_ids',
  type: ValueInfo['type'] = 'int64',
): ValueInfo => ({
  name,
  type,
  shape,
})
const logits = (shape: (number | string)[], name = 'logits'): ValueInfo => ({ name, type: 'float32', shape })

/** The smallest causal model: the logits of a token are its row of a table. */
const bigram: OnnxModel = {
  nodes: [{ name: 'Gather', inputs: ['table', 'input_ids'], outputs: ['logits'] }],
  initialisers: [
    { name: 'table', type: 'float32', shape: [VOCAB, VOCAB], bytes: new Uint8Array(table.buffer) },
  ],
  inputs: [ids(['batch', 'sequence'])],
  outputs: [logits(['batch', 'sequence', VOCAB])],
}

const past = 'past_key_values.0.key'
const int64 = (name: string, values: number[], shape = [values.length]) => ({
  name,
  type: 'int64' as const,
  shape,
  bytes: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
})

/**
 * The logits of a token are the sum of the rows of a table of the tokens up to it; the rows are what is remembered.
 *
 * @param summed `present.0.key`: those that were read before too
 */
const remembering = (summed: 'present.0.key' | 'rows'): OnnxModel => ({
  nodes: [
    { name: 'Gather', inputs: ['table', 'input_ids'], outputs: ['flat'] },
    { name: 'Unsqueeze', inputs: ['flat', 'one'], outputs: ['rows'] },
    { name: 'Concat', inputs: [past, 'rows'], outputs: ['present.0.key'], attributes: { axis: 2 } },
    { name: 'CumSum', inputs: [summed, 'two'], outputs: ['sums'] },
    { name: 'Shape', inputs: ['input_ids'], outputs: ['shape'] },
    { name: 'Slice', inputs: ['shape', 'one', 'two'], outputs: ['time'] },
    { name: 'Neg', inputs: ['time'], outputs: ['first'] },
    { name: 'Slice', inputs: ['sums', 'first', 'end', 'two'], outputs: ['own'] },
    { name: 'Squeeze', inputs: ['own', 'one'], outputs: ['logits'] },
  ],
  initialisers: [...bigram.initialisers, int64('one', [1]), int64('two', [2]), int64('end', [1 << 20])],
  inputs: [...bigram.inputs, { name: past, type: 'float32', shape: ['batch', 1, 'past', VOCAB] }],
  outputs: [
    ...bigram.outputs,
    { name: 'present.0.key', type: 'float32', shape: ['batch', 1, 'total', VOCAB] },
  ],
})

function write(model: OnnxModel | Uint8Array, name = 'model.onnx'): string {
  const file = join(folder, name)
  writeFileSync(file, model instanceof Uint8Array ? model : encodeOnnx(model))
  return file
}

describe('an ONNX file is refused in one line', () => {
  const unlike = (changes: Partial<OnnxModel>) => ({ ...bigram, ...changes })
  const renamed = unlike({
    nodes: [{ name: 'Gather', inputs: ['table', 'tokens'], outputs: ['scores'] }],
    inputs: [ids(['b', 't'], 'tokens')],
    outputs: [logits(['b', 't', VOCAB], 'scores')],
  })
  const half = unlike({
    nodes: [
      { name: 'Gather', inputs: ['table', 'input_ids'], outputs: ['x'] },
      { name: 'Cast', inputs: ['x'], outputs: ['logits'], attributes: { to: 7 } },
    ],
    outputs: [{ name: 'logits', type: 'int64', shape: ['b', 't', VOCAB] }],
  })
  /** The mean over all tokens is added: each hears of the later ones. */
  const masked = unlike({
    nodes: [
      { name: 'Gather', inputs: ['table', 'input_ids'], outputs: ['x'] },
      axis(1n),
      { name: 'ReduceMean', inputs: ['x', 'axis'], outputs: ['mean'] },
      { name: 'Add', inputs: ['x', 'mean'], outputs: ['logits'] },
    ],
  })
  it.each<[string, OnnxModel | Uint8Array, RegExp]>([
    ['that is none', Buffer.from('not a model at all'), /model\.onnx: the file is not an ONNX model/],
    ['that is cut off', encodeOnnx(bigram).subarray(0, 90), /model\.onnx: the file is not an ONNX model/],
    ['without input_ids', renamed, /no input "input_ids" \(it has tokens\)/],
    [
      'without logits',
      unlike({
        nodes: [{ ...bigram.nodes[0]!, outputs: ['scores'] }],
        outputs: [logits(['b', 't', VOCAB], 'scores')],
      }),
      /no output "logits" \(it has scores\)/,
    ],
    ['with logits that are no floats', half, /logits.*the output is int64.*float32/],
    [
      'with a KV cache that does not come back',
      unlike({ inputs: [...bigram.inputs, ids(['b', 2, 't', 8], past, 'float32')] }),
      /input "past_key_values\.0\.key" and no output "present\.0\.key"/,
    ],
    [
      'with a KV cache of unknown size',
      unlike({ inputs: [...bigram.inputs, ids(['b', 'h', 't', 8], past, 'float32')] }),
      /cache "past_key_values\.0\.key" is float32 \[b, h, t, 8\].*heads and size fixed/,
    ],
    [
      'with a KV cache that it does not heed',
      remembering('rows'),
      /read at once than read on from its past keys and values/,
    ],
    [
      'with an input that Retort does not know',
      unlike({ inputs: [...bigram.inputs, ids(['b', 't'], 'token_type_ids')] }),
      /cannot give the input "token_type_ids"/,
    ],
    [
      'of one length',
      unlike({ inputs: [ids(['b', 16])] }),
      /sequences of 16 tokens alone.*dynamic sequence axis/,
    ],
    [
      'of four sequences',
      unlike({ inputs: [ids([4, 't'])] }),
      /4 sequences at a time alone.*dynamic batch axis/,
    ],
    ['that sees what comes', masked, /changes with the tokens after it.*causal/],
  ])('%s', async (_, model, message) => {
    await expect(checkOnnx(write(model), VOCAB)).rejects.toThrow(message)
  })

  it('whose vocabulary is not the tokenizer’s, whether the file tells it or not', async () => {
    const message = /the model has a vocabulary of 5, its tokenizer of 6/
    await expect(checkOnnx(write(bigram), 6)).rejects.toThrow(message)
    const silent = unlike({ outputs: [logits(['b', 't', 'v'])] })
    await expect(checkOnnx(write(silent), 6)).rejects.toThrow(message)
  })

  it('whose weights lie in a file that is missing, or elsewhere', async () => {
    const outside = (location: string) => {
      const proto = new ProtoWriter()
      // A second graph is merged with the first.
      proto.message(7, () =>
        proto.message(5, () => {
          proto.integers(1, [VOCAB, VOCAB])
          proto.integer(2, 1)
          proto.string(8, 'table')
          proto.message(13, () => {
            proto.string(1, 'location')
            proto.string(2, location)
          })
          proto.integer(14, 1)
        }),
      )
      return Buffer.concat([encodeOnnx(unlike({ initialisers: [] })), proto.finish()])
    }
    await expect(checkOnnx(write(outside('table.bin')), VOCAB)).rejects.toThrow(/missing: "table\.bin"/)
    await expect(checkOnnx(write(outside('../table.bin')), VOCAB)).rejects.toThrow(/outside its folder/)
    writeFileSync(join(folder, 'table.bin'), new Uint8Array(table.buffer))
    const checked = await checkOnnx(write(outside('table.bin')), VOCAB)
    expect(checked).toMatchObject({ external: ['table.bin'], parameters: VOCAB * VOCAB })
    const copy = join(folder, 'library/teachers/copy')
    mkdirSync(copy, { recursive: true })
    const digest = await storeOnnx(checked, copy)
    const row: Teacher = { ...runConfig().teachers[0]!, id: 'copy', model: checked.config, digest }
    const teacher = await openLiveTeacher(folder, row, 2)
    await teacher.prepare!(Int32Array.of(3, 1))
    const said = teacher.signal(tf.tensor2d([[3, 1]], [1, 2], 'int32')).logits
    expect([...(await said.data())]).toEqual([...table.subarray(15, 20), ...table.subarray(5, 10)])
    writeFileSync(join(copy, 'table.bin'), new Uint8Array(100))
    await expect(openLiveTeacher(folder, row, 2)).rejects.toThrow(/changed since it joined the library/)
  })
})

describe('an ONNX teacher', () => {
  /** Logits ten times as far apart as fresh ones. */
  const written = () => {
    const weights = initialise(teacherModel, 3)
    for (const { data } of weights.values())
      if (data.length > 20) for (const [i, v] of data.entries()) data[i] = v * 10
    return { weights, file: write(encodeOnnxModel(teacherModel, weights, { hiddenStates: true })) }
  }

  it('that is padded beyond its tokenizer says nothing of the ids beyond', async () => {
    const { weights, file } = written()
    const vocab = teacherModel.vocab - 3
    const checked = await checkOnnx(file, vocab)
    expect(checked.config).toMatchObject({ vocab, rows: teacherModel.vocab })
    const target = mkdtempSync(join(folder, 'padded-'))
    await storeOnnx(checked, target)
    const model = await openLanguageModel(target)
    const inputs = Int32Array.of(1, 4, 2)
    const reader = model.reader(3)
    await reader.prepare!(inputs)
    const said = await reader.logits(tf.tensor2d(inputs, [1, 3], 'int32')).array()
    const whole = await forward(
      teacherModel,
      toTensors(weights),
      tf.tensor2d(inputs, [1, 3], 'int32'),
      createTables(teacherModel, 3),
    ).logits.array()
    for (const [t, row] of said.entries()) {
      expect(row).toHaveLength(vocab)
      for (const [id, z] of row.entries()) expect(Math.abs(z - whole[t]![id]!)).toBeLessThan(1e-5)
    }
    const [last] = await model.textReader().read([{ text: 0, ids: [1, 4, 2] }])
    expect(Array.from(last!, (z) => z.toFixed(4))).toEqual(said[2]!.map((z) => z.toFixed(4)))
    model.dispose()
  })

  it('is described by its file', async () => {
    const { weights, file } = written()
    const { config, parameters } = await checkOnnx(file, teacherModel.vocab)
    const { vocab, context, width, layers } = teacherModel
    expect(config).toEqual({ family: 'onnx', vocab, context, hidden: { width, layers } })
    expect(parameters).toBe(
      [...weightShapes(teacherModel).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0),
    )
    const silent = await checkOnnx(write(encodeOnnxModel(teacherModel, weights)), vocab)
    expect(silent.config.hidden).toBeUndefined()
  })

  it.each(['onnx', 'webgpu'] as const)(
    'says what the native one says, hidden states too, in one pass or in several: on %s',
    async (kind) => {
      const obstacle = kind === 'webgpu' && (await webgpuObstacle())
      if (obstacle) return void process.stderr.write(`SKIPPED: ONNX teachers on WebGPU: ${obstacle}\n`)
      const { weights, file } = written()
      const { vocab, width, layers } = teacherModel
      const model = { family: 'onnx' as const, vocab, hidden: { width, layers } }
      const row = { ...runConfig().teachers[0]!, model }
      await startBackend(kind, { threads: 1 })
      const backend = tf.backend() as unknown as LazyBackend
      // The file computes its angles on the device, whose sines may be off by 2^-11 (WGSL).
      const tolerance = kind === 'webgpu' ? 1e-3 : 1e-6
      const own = toTensors(weights)
      // All five sequences at once; two at a time and one left; one at a time, each of more than the bound.
      for (const largest of [1 << 20, 2 * 8 * (vocab + 2 * width), 1]) {
        const teacher = await onnxSource(file, row, 8, [layers, 0, layers], largest)
        for (let turn = 0; turn < 3; turn++) {
          const random = createRandom(turn, 'onnx')
          const inputs = Int32Array.from({ length: 40 }, () => random.integer(vocab))
          await teacher.prepare!(inputs)
          const tokens = tf.tensor2d(inputs, [5, 8], 'int32')
          const said = teacher.signal(tokens)
          const native = forward(teacherModel, own, tokens, createTables(teacherModel, 8))
          expect(said.hidden.flatMap((state, layer) => (state ? [layer] : []))).toEqual([0, layers])
          // On a device it is there already: what the graph begins with, and not fed.
          const source = backend.value(said.logits)
          const leaf = source.op ? source.op.inputs[0]! : source
          if (kind === 'webgpu' && largest === 1 << 20) expect(leaf.resident?.location).toBe('gpu-buffer')
          for (const [ours, theirs] of [
            [said.logits, native.logits],
            ...[0, layers].map((layer) => [said.hidden[layer]!, native.hidden[layer]!]),
          ] as const) {
            const [values, expected] = await Promise.all([ours!.data(), theirs!.data()])
            const size = Math.max(...Array.from(expected, Math.abs))
            for (const [i, z] of expected.entries())
              expect(Math.abs(values[i]! - z) / size).toBeLessThan(tolerance)
          }
          // Its memory goes with the graph that has read it.
          if (kind === 'webgpu' && largest === 1 << 20) expect(leaf.resident).toBeUndefined()
        }
        teacher.dispose()
      }
      await startBackend('onnx', { threads: 1 })
    },
  )

  it('gives its last hidden state, where that is all it has', async () => {
    const model: OnnxModel = {
      ...bigram,
      nodes: [...bigram.nodes, { name: 'Neg', inputs: ['logits'], outputs: ['last_hidden_state'] }],
      outputs: [...bigram.outputs, { ...logits(['b', 't', VOCAB]), name: 'last_hidden_state' }],
    }
    const { config } = await checkOnnx(write(model), VOCAB)
    expect(config.hidden).toEqual({ width: VOCAB, layers: 1, last: true })
    const row = { ...runConfig().teachers[0]!, name: 'seer', model: config }
    const setting = { layers: 'last' as const, embedding: false, attention: 'none' as const }
    expect(alignableLayers(row, setting).layers).toBe(1)
    for (const [changes, message] of [
      [
        { layers: 'uniform' },
        /^loss\.features\.layers: teacher "seer" is an ONNX model .* last hidden state alone; expected last/,
      ],
      [{ layers: [{ student: 1, teacher: 2 }] }, /^loss\.features\.layers/],
      [{ embedding: true }, /^loss\.features\.embedding: .*expected false/],
      [{ attention: 'kl' }, /^loss\.features\.attention: .*no attention maps; expected none/],
    ] as const)
      expect(() => alignableLayers(row, { ...setting, ...(changes as object) })).toThrow(message)
    const teacher = await onnxSource(write(model), row, 2, [1])
    await teacher.prepare!(Int32Array.of(3, 1))
    const { hidden } = teacher.signal(tf.tensor2d([[3, 1]], [1, 2], 'int32'))
    expect([...(await hidden[1]!.data())]).toEqual(
      [...table.subarray(15, 20), ...table.subarray(5, 10)].map((z) => -z),
    )
    teacher.dispose()
  })

  it('reads one sequence at a time where its file is made for one, by masks and positions where it has them', async () => {
    const named = (name: string) => ids([1, 'sequence'], name, 'int32')
    // Row of the token, plus its position where the mask is 1.
    const model: OnnxModel = {
      ...bigram,
      nodes: [
        { name: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] },
        { name: 'Mul', inputs: ['position_ids', 'attention_mask'], outputs: ['places'] },
        { name: 'Cast', inputs: ['places'], outputs: ['floats'], attributes: { to: 1 } },
        axis(2n),
        { name: 'Unsqueeze', inputs: ['floats', 'axis'], outputs: ['column'] },
        { name: 'Add', inputs: ['rows', 'column'], outputs: ['logits'] },
      ],
      inputs: ['input_ids', 'attention_mask', 'position_ids'].map(named),
      outputs: [logits([1, 'sequence', VOCAB])],
    }
    const file = write(model)
    const { config } = await checkOnnx(file, VOCAB)
    expect(config).toEqual({ family: 'onnx', vocab: VOCAB })
    const out = new Float32Array(4 * VOCAB)
    const session = await OnnxSession.open(file)
    await session.read(Int32Array.of(4, 0, 2, 2), 2, [{ name: 'logits', width: VOCAB, out }])
    await session.release()
    const expected = [4, 0, 2, 2].flatMap((id, i) =>
      [...table.subarray(id * 5, id * 5 + 5)].map((z) => z + (i % 2)),
    )
    for (const [i, z] of expected.entries()) expect(out[i]).toBeCloseTo(z, 6)
  })

  it('writes on from its KV cache, or reads all anew, beyond its context: what whole passes say', async () => {
    // Sums of the rows of the last tokens: what is forgotten shows.
    const rowsOf = (window: readonly number[]) =>
      window.reduce(
        (sum, id) => sum.map((z, v) => z + table[id * VOCAB + v]!),
        new Array<number>(VOCAB).fill(0),
      )
    const context = 12
    const expected: number[] = []
    const window = [2, 0, 3]
    while (expected.length < 40) {
      expected.push(argMax(Float32Array.from(rowsOf(window))))
      if (window.length === context) window.splice(0, window.length + 1 - context / 2)
      window.push(expected.at(-1)!)
    }
    expect(new Set(expected).size).toBeGreaterThan(2)
    const remembers = remembering('present.0.key')
    const forgets = {
      ...remembers,
      nodes: remembers.nodes.filter(({ name }) => name !== 'Concat'),
      inputs: bigram.inputs,
      outputs: bigram.outputs,
    }
    forgets.nodes = forgets.nodes.map((node) =>
      node.name === 'CumSum' ? { ...node, inputs: ['rows', 'two'] } : node,
    )
    for (const model of [remembers, forgets]) {
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ max_position_embeddings: context }))
      const checked = await checkOnnx(write(model), VOCAB)
      const library = mkdtempSync(join(folder, 'library-'))
      await storeOnnx(checked, library)
      const opened = await openLanguageModel(library)
      const options = { promptIds: [2, 0, 3], tokens: 40, temperature: 0, topP: 1, seed: 1 }
      expect((await generate({ model: opened, ...options })).ids).toEqual(expected)
      // Scoring begins with an empty cache.
      const reader = opened.reader(2)
      await reader.prepare!(Int32Array.of(4, 1, 0, 0))
      const said = await reader.logits(tf.tensor2d([4, 1, 0, 0], [2, 2], 'int32')).array()
      for (const [i, seen] of [[4], [4, 1], [0], [0, 0]].entries())
        for (const [v, z] of rowsOf(seen).entries()) expect(said[i]![v]).toBeCloseTo(z, 5)
      opened.dispose()
    }
  })

  it('is no model of ours: its folder gives no weights', async () => {
    await storeOnnx(await checkOnnx(write(bigram), VOCAB), folder)
    await expect(readModel(folder)).rejects.toThrow(/layers of an ONNX model cannot be read/)
  })
})
