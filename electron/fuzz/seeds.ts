import { initialise } from '../engine/model/weights'
import { SCHEMA_VERSION, type ModelConfig } from '#contract'
import { parseExperiment } from '../services/experiments/definition'

/** Valid documents of every kind, as small as they can be and with most of what they may have. */

const at = '2026-01-02T03:04:05.000Z'
const digest = 'ab'.repeat(32)

export const student: ModelConfig = {
  family: 'llama',
  vocab: 259,
  width: 8,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  hidden: 16,
  context: 16,
  tied: true,
  ropeBase: 10000,
  normEpsilon: 1e-5,
}
export const weights = () => initialise(student, 1)

export const experiment = {
  name: 'two',
  corpus: [{ name: 'plays', weight: 1 }],
  student: { width: 8, layers: 2, heads: 2, context: 16 },
  teachers: ['cook'],
  weighting: { strategy: 'entropy' },
  loss: { lambda: 0.5, tau: 2, features: { gamma: 0.1 } },
  train: { steps: 40, batch: 4, context: 16, learningRate: 0.003, warmup: 4 },
  evaluate: { every: 10, tokens: 300 },
  checkpoint: { every: 10, keep: 2 },
  cache: { mode: 'exact' },
  seed: 1,
}
export const teacherDefinition = {
  name: 'cook',
  corpus: 'plays',
  tokenizer: 'bpe',
  model: { width: 8, layers: 2, heads: 2, context: 16 },
  train: experiment.train,
  evaluate: experiment.evaluate,
  seed: 7,
}
export const grid = {
  name: 'ablation',
  base: experiment,
  axes: {
    'train.learningRate': { logRange: [0.001, 0.1, 3] },
    'loss.tau': { range: [1, 2, 0.5] },
    'weighting.strategy': ['uniform', 'entropy'],
  },
  seeds: [1, 2],
  skip: [{ 'loss.tau': [1], seed: 2 }],
  halving: { minSteps: 10, reduction: 2 },
}
export const study = {
  name: 'questions',
  description: 'what they answer',
  corpora: [{ name: 'plays', path: 'plays.txt' }],
  teachers: [
    { name: 'stories', import: 'stories.bin' },
    { name: 'cook', train: { corpus: 'plays' } },
    { name: 'sure', derive: { from: 'cook', logitScale: 3 } },
  ],
  base: { corpus: 'plays' },
  runs: [{ name: 'alone', set: { teachers: [] } }, { name: 'taught' }],
  seeds: [1, 2],
  questions: [{ ask: 'is it better?', compare: [['taught', 'alone']] }],
}
export const cluster = {
  name: 'lab',
  host: 'login.example',
  dataDir: '/scratch/retort',
  transfer: 'rsync',
  command: ['srun', 'retort'],
  modules: ['node/20'],
  environment: { HOME_OF: '/scratch' },
  partition: 'short',
  cpus: 2,
  memory: '4G',
  time: '2:00:00',
  throttle: 4,
  options: ['--exclusive'],
}

const corpus = {
  id: 'plays',
  name: 'plays',
  format: 'text',
  source: 'plays.txt',
  bytes: 1000,
  documents: 40,
  heldOutDocuments: 2,
  digest,
  sample: 'To be',
  createdAt: at,
}
const tokenizer = { id: 'bpe', name: 'bpe', kind: 'bpe', vocab: 259, digest, lossless: true, createdAt: at }
const teacher = {
  id: 'cook',
  name: 'cook',
  source: 'trained',
  tokenizer: 'bpe',
  model: student,
  parameters: 4000,
  digest,
  perplexity: { plays: 12.5 },
  calibrations: [
    { corpora: [{ id: 'plays', weight: 1 }], tokens: 100, temperature: 1.2, before: 2, after: 1.9 },
  ],
  createdAt: at,
}
export const runConfig = () => ({
  schemaVersion: SCHEMA_VERSION,
  id: 'two-abcd',
  name: 'two',
  kind: 'student',
  method: 'entropy',
  experiment: parseExperiment(JSON.stringify(experiment)),
  corpora: [{ weight: 1, row: corpus }],
  tokenizer,
  teachers: [teacher],
  student,
  createdAt: at,
})
export const environment = {
  schemaVersion: SCHEMA_VERSION,
  retort: '0.1.0',
  node: 'v20.19.0',
  platform: 'linux x64',
  cpu: 'EPYC',
  cores: 2,
  memoryGb: 8,
  backend: 'onnx',
  backendVersion: '1.30.0',
  threads: 2,
  startedAt: at,
}
const step = {
  step: 1,
  tokens: 64,
  seconds: 0.5,
  loss: 2.5,
  kd: 1,
  ce: 2,
  alpha: [1],
  teacherEntropy: [1.5],
  gradNorm: 1,
  learningRate: 0.001,
  tokensPerSecond: 128,
}
const evaluation = {
  split: 'held-out',
  step: 10,
  crossEntropy: 2,
  perplexity: 7.4,
  bitsPerByte: 1.5,
  corpora: [{ corpus: 'plays', tokens: 300, bytes: 900, crossEntropy: 2, perplexity: 7.4, bitsPerByte: 1.5 }],
  seconds: 0.1,
}
const alarm = {
  signature: 'divergence',
  step: 9,
  message: 'the loss rises',
  evidence: { loss: 9, limit: 3 },
  advice: 'half the learning rate',
  mend: ['train.learningRate=0.001'],
}
export const metrics = [step, { ...step, step: 2, gradNorm: 'NaN' }, evaluation]
export const events = [
  { at, event: 'started', step: 0 },
  { at, event: 'alarm', step: 9, message: 'the loss rises', alarm },
  { at, event: 'completed', step: 40 },
]
export const heldOut = [{ corpus: 'plays', document: 0, tokens: 100, bytes: 300, nll: 210.5 }]
export const detail = {
  step: 40,
  calibration: [
    {
      model: 'student',
      accuracy: 0.4,
      ece: 0.1,
      brier: 0.7,
      bins: [{ count: 3, confidence: 0.5, accuracy: 0.4 }],
    },
  ],
  continuations: [{ prompt: 'To', reference: 'be', text: 'do' }],
}
export const checkpoint = {
  schemaVersion: SCHEMA_VERSION,
  step: 10,
  tokens: 640,
  seconds: 5,
  crossEntropy: 2,
  best: { step: 10, crossEntropy: 2 },
  files: { 'model.safetensors': digest, 'optimizer.safetensors': digest, 'projections.safetensors': digest },
}
export const teacherOutputs = [
  { teacher: 'cook', key: digest, computed: 10, reused: 2, seconds: 1, secondsSaved: 0.5 },
]
const axes = { 'loss.tau': 1 }
export const catalogue = () => ({
  schemaVersion: SCHEMA_VERSION,
  experiments: [
    {
      id: 'two',
      name: 'two',
      definition: JSON.stringify(experiment),
      builtIn: false,
      createdAt: at,
      updatedAt: at,
    },
  ],
  corpora: [corpus],
  tokenizers: [tokenizer],
  teachers: [teacher],
  runs: [
    {
      id: 'two-abcd',
      name: 'two',
      kind: 'student',
      method: 'entropy',
      status: 'completed',
      step: 40,
      steps: 40,
      last: { ...step, step: 40 },
      evaluation,
      parameters: 4000,
      teachers: [{ id: 'cook', name: 'cook' }],
      corpora: [{ id: 'plays', name: 'plays' }],
      seed: 1,
      createdAt: at,
    },
  ],
  grids: [
    {
      id: 'ablation',
      name: 'ablation',
      definition: JSON.stringify(grid),
      status: 'idle',
      axes: { 'loss.tau': [1] },
      seeds: [1],
      cells: [{ axes, seed: 1, digest, run: 'two-abcd' }],
      seconds: 1,
      createdAt: at,
      updatedAt: at,
    },
  ],
  reports: [
    {
      id: 'first',
      name: 'first',
      format: 'html',
      runs: ['two-abcd'],
      file: 'first.html',
      bytes: 10,
      createdAt: at,
    },
  ],
  settings: { threads: 1, cacheGb: 7 },
})
export const cacheAbout = {
  schemaVersion: 1,
  teacher: 'cook',
  corpora: ['plays'],
  split: 'train',
  tokens: 64,
  secondsPerToken: 0.001,
  createdAt: at,
}
