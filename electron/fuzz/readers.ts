import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { taskFormats, type TaskFormat } from '#contract'
import { importCorpus } from '../engine/data/importCorpus'
import { importTokenizer } from '../engine/data/importTokenizer'
import { renderExample } from '../engine/evaluate/tasks/example'
import { readTask } from '../engine/evaluate/tasks/readers'
import { huggingFaceConfigText, huggingFaceWeights } from '../engine/model/exportHuggingFace'
import { readHuggingFace } from '../engine/model/huggingface'
import { decodeLlama2c, encodeLlama2c } from '../engine/model/llama2c'
import { readModel } from '../engine/model/modelFolder'
import { readOnnxFile } from '../engine/model/onnx/file'
import { readSafetensors } from '../engine/model/safetensors'
import { encodeSafetensors } from '../engine/model/safetensorsWriter'
import type { Reader } from './harness'
import { bytes, gzip, json, jsonLines, safetensors, text } from './mutate'
import { documentReaders } from './documents'
import { byteBpe, llama2cTokenizer, onnx, sentencePiece } from './modelSeeds'
import * as seeds from './seeds'
import { servedReaders } from './served'

const asJson = (value: unknown) => Buffer.from(JSON.stringify(value))
const asLines = (values: readonly unknown[]) =>
  Buffer.from(values.map((v) => `${JSON.stringify(v)}\n`).join(''))

/** What other programs wrote: pyarrow, zip, zstd. */
const FIXTURES = join(import.meta.dirname, '../engine/data/formats/fixtures')

const job = { threads: 1, id: 'new', name: 'new' }
const documents = Array.from({ length: 4 }, (_, i) => ({ text: `Document ${i}: the quick brown fox.`, n: i }))

const corpus = (
  name: string,
  file: string,
  seed: Uint8Array,
  mutate: Reader['mutate'],
  quick: number,
): Reader => ({
  name,
  file,
  seeds: [seed],
  mutate,
  quick,
  read: (_, { folder, path }) =>
    importCorpus(
      {
        ...job,
        kind: 'import-corpus',
        dataDir: folder,
        path,
        format: 'auto',
        field: 'text',
        unreadable: 'skip',
        duplicates: 'keep',
        nearDuplicates: 'keep',
      },
      () => {},
    ),
})

const tokenizer = (
  name: string,
  file: string,
  all: Uint8Array[],
  mutate: Reader['mutate'],
  quick: number,
): Reader => ({
  name,
  file,
  seeds: all,
  mutate,
  quick,
  read: (_, { folder, path }) => importTokenizer({ ...job, kind: 'import-tokenizer', dataDir: folder, path }),
})

const entity = 'John B-PER\nlives O\nin O\nNew B-LOC\nYork I-LOC\n\nHe O\nsleeps O\n'
const examples: Record<TaskFormat, string> = {
  sst2: 'sentence\tlabel\na fine film\t1\ndull\t0\n',
  mrpc: 'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\tHe ran.\tHe was running.\n',
  conll: `-DOCSTART- -X- O\n\n${entity}`,
  squad: JSON.stringify({
    data: [
      {
        paragraphs: [{ context: 'Rome is old.', qas: [{ question: 'What?', answers: [{ text: 'Rome' }] }] }],
      },
    ],
  }),
  summarization: '{"document":"a long text","summary":"short"}\n{"document":"b","summary":"c"}\n',
  'text-to-text': '{"prompt":"1+1=","target":"2"}\n{"prompt":"b","target":"c","choices":["c","d"]}\n',
}
const mutations: Partial<Record<TaskFormat, Reader['mutate']>> = {
  squad: json,
  summarization: jsonLines,
  'text-to-text': jsonLines,
}

const tasks: Reader[] = taskFormats.map((format) => ({
  name: `task-${format}`,
  file: 'task.txt',
  seeds: [Buffer.from(examples[format])],
  mutate: mutations[format] ?? text,
  quick: 1000,
  read: (_, { path }) => readTask(format, path).map(renderExample),
}))

/** The transformers' configurations of some families; weights are a Llama's, so that the others end behind the file. */
const families = [
  {
    model_type: 'gpt2',
    n_embd: 8,
    n_layer: 2,
    n_head: 2,
    n_positions: 16,
    vocab_size: 259,
    activation_function: 'gelu_new',
  },
  {
    model_type: 'gemma2',
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    intermediate_size: 16,
    head_dim: 4,
    max_position_embeddings: 16,
    vocab_size: 259,
    sliding_window: 8,
    layer_types: ['sliding_attention', 'full_attention'],
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 4,
  },
  {
    model_type: 'llama',
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    intermediate_size: 16,
    max_position_embeddings: 16,
    vocab_size: 259,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 8 },
  },
]

/** A config.json whose weights lie beside it. */
const hfFolder = (name: string, file: string, all: Uint8Array[], mutate: Reader['mutate']): Reader => ({
  name,
  file,
  seeds: all,
  mutate,
  quick: 600,
  furnish: (folder) => {
    const weights = huggingFaceWeights(seeds.student, seeds.weights())
    writeFileSync(join(folder, 'config.json'), huggingFaceConfigText(seeds.student, 1))
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(weights))
  },
  read: (_, { folder }) => readHuggingFace(folder),
})

const configs = families.map(asJson)
const weightMap = Object.fromEntries(
  [...huggingFaceWeights(seeds.student, seeds.weights()).keys()].map((name) => [name, 'model.safetensors']),
)

/** Every reader of the house, with valid inputs and what becomes of them. */
export const readers: readonly Reader[] = [
  {
    name: 'safetensors',
    file: 'model.safetensors',
    seeds: [encodeSafetensors(seeds.weights())],
    mutate: safetensors,
    quick: 1000,
    read: (_, { path }) => readSafetensors(path),
  },
  {
    name: 'model-folder',
    file: 'model.json',
    seeds: [asJson({ schemaVersion: 1, ...seeds.student })],
    mutate: json,
    quick: 1000,
    furnish: (folder) => writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(seeds.weights())),
    read: (_, { folder }) => readModel(folder),
  },
  {
    name: 'llama2c',
    file: 'model.bin',
    seeds: [encodeLlama2c(seeds.student, seeds.weights())],
    mutate: bytes,
    quick: 1000,
    read: (input, { path }) => decodeLlama2c(Buffer.from(input), path),
  },
  hfFolder('hf-config', 'config.json', [Buffer.from(huggingFaceConfigText(seeds.student, 1))], json),
  {
    ...hfFolder('hf-families', 'config.json', [], json),
    seeds: [configs[2]!],
    mutate: (seed, random) => json(configs[random.integer(configs.length)] ?? seed, random),
  },
  hfFolder(
    'hf-index',
    'model.safetensors.index.json',
    [asJson({ metadata: { total_size: 1 }, weight_map: weightMap })],
    json,
  ),
  tokenizer('tokenizer-json', 'tokenizer.json', [asJson(byteBpe()), asJson(sentencePiece)], json, 400),
  tokenizer('tokenizer-bin', 'tokenizer.bin', [llama2cTokenizer()], bytes, 800),
  {
    name: 'onnx',
    file: 'model.onnx',
    seeds: [onnx(), onnx('weights.bin')],
    mutate: bytes,
    quick: 1000,
    furnish: (folder) => writeFileSync(join(folder, 'weights.bin'), new Uint8Array(24)),
    read: (_, { path }) => readOnnxFile(path),
  },
  corpus(
    'corpus-text',
    'corpus.txt',
    // Each its own, for what is said once more is on the same side of the split.
    Buffer.from(Array.from({ length: 300 }, (_, i) => `Line ${i} of a text, and more.\n\n`).join('')),
    text,
    600,
  ),
  corpus('corpus-jsonl', 'corpus.jsonl', asLines(documents), jsonLines, 600),
  corpus('corpus-json', 'corpus.json', asJson(documents), json, 300),
  corpus('corpus-csv', 'corpus.csv', Buffer.from('n,text\r\n1,"a ""b"""\r\n2,c d\r\n3,e\r\n'), text, 300),
  ...['snappy.parquet', 'gzip.parquet', 'zstd.parquet', 'brotli.parquet', 'lz4.parquet', 'stream.arrow'].map(
    (name) => corpus(`corpus-${name}`, name, readFileSync(join(FIXTURES, name)), bytes, 150),
  ),
  corpus('corpus-zip', 'corpus.zip', readFileSync(join(FIXTURES, 'lines.zip')), bytes, 150),
  corpus('corpus-zst', 'corpus.zst', readFileSync(join(FIXTURES, 'lines.jsonl.zst')), bytes, 150),
  corpus('corpus-c4', 'corpus.json.gz', gzipSync(asLines(documents)), gzip(jsonLines), 600),
  ...tasks,
  ...documentReaders,
  ...servedReaders,
]
