import { z } from 'zod'
import { alarm } from './alarm'
import { backends, objectName } from './experiment'
import { errorShape } from './errors'
import { calibration, corpus, corpusFormats, id, taskFormats, teacher, tokenizer } from './library'
import { evaluationRecord, stepRecord } from './metrics'
import { alignmentSetting, checkpoint, environment, runConfig, teacherOutputs } from './run'

/**
 * What a worker process is asked to do. One worker does one job and exits. All paths are absolute; `dataDir` is the
 * data directory, in which the worker reads library folders and writes only the folders that the job names.
 */
const base = {
  dataDir: z.string(),
  threads: z.number().int().nonnegative().default(0),
}
/** Of jobs that compute with tensors. */
const computing = {
  ...base,
  /** What computes; of a run, where its definition leaves it open. */
  backend: z.enum(backends).default('auto'),
}

/** Trains the run of `config` in its folder `runs/<id>`; `resume` goes on from its last checkpoint. */
export const runJob = z.object({
  ...computing,
  kind: z.literal('run'),
  config: runConfig,
  resume: z.boolean(),
  /** What `cache.mode: auto` is for this run. */
  autoCache: z.enum(['off', 'exact']).default('off'),
  /** Stops after this step with a checkpoint. */
  until: z.number().int().positive().optional(),
  /** Of runs that share its teacher passes: layers that they align with are kept for them. */
  sharedAlignments: z.array(alignmentSetting).default([]),
})

/** Reads `path` and writes `library/corpora/<id>/documents.jsonl`. Result: a Corpus row. */
export const importCorpusJob = z.object({
  ...base,
  kind: z.literal('import-corpus'),
  id,
  name: objectName,
  path: z.string(),
  format: z.enum(['auto', ...corpusFormats]).default('auto'),
  /** The field of a JSONL line that holds the text. */
  field: z.string().default('text'),
})

/** Generates `bytes` of one domain of the built-in grammar. Result: a Corpus row. */
export const generateCorpusJob = z.object({
  ...base,
  kind: z.literal('generate-corpus'),
  id,
  name: objectName,
  domain: z.string(),
  bytes: z.number().int().positive(),
  seed: z.number().int(),
})

/** Trains a byte-level BPE on the training split of library corpora. Result: a Tokenizer row. */
export const trainTokenizerJob = z.object({
  ...base,
  kind: z.literal('train-tokenizer'),
  id,
  name: objectName,
  corpora: z.array(corpus).min(1),
  vocab: z.number().int().min(257),
})

/** Imports a tokenizer file (tokenizer.json or llama2.c's). Result: a Tokenizer row. */
export const importTokenizerJob = z.object({
  ...base,
  kind: z.literal('import-tokenizer'),
  id,
  name: objectName,
  path: z.string(),
})

/**
 * Imports a pretrained model with its tokenizer into `library/teachers/<id>` and `library/tokenizers/<tokenizerId>`.
 * Result: `{teacher, tokenizer}`.
 */
export const importTeacherJob = z.object({
  ...base,
  kind: z.literal('import-teacher'),
  id,
  name: objectName,
  path: z.string(),
  /** Default: `tokenizer.json` in the same folder; of llama2.c `tok<vocab>.bin` or `tokenizer.bin`. */
  tokenizerPath: z.string().optional(),
  tokenizerId: id,
  format: z.enum(['auto', 'llama2c', 'huggingface', 'onnx']).default('auto'),
})

/** Writes `library/teachers/<id>`: another teacher with its logits scaled. Result: a Teacher row. */
export const deriveTeacherJob = z.object({
  ...base,
  kind: z.literal('derive-teacher'),
  id,
  name: objectName,
  from: teacher,
  logitScale: z.number().positive(),
})

/** A model to score or to continue with: a teacher's folder, or a checkpoint's. */
export const modelRef = z.object({
  name: z.string(),
  /** Folder with model.json and model.safetensors. */
  folder: z.string(),
  tokenizer,
})
export type ModelRef = z.output<typeof modelRef>

/** Held-out metrics of models on corpora (a matrix), or of one model on a text file. Result: EvaluateResult. */
export const evaluateJob = z.object({
  ...computing,
  kind: z.literal('evaluate'),
  models: z.array(modelRef).min(1),
  corpora: z.array(corpus).default([]),
  /** Score this file whole instead, BOS first, no split. */
  text: z.string().optional(),
  tokens: z.number().int().positive().default(20000),
  /** Prompts to continue greedily, for BLEU, ROUGE-L and the speed of generation: held-out ones. */
  prompts: z.number().int().nonnegative().default(0),
  /** JSON lines with `prefix` and `gold_completion` that take the place of held-out prompts. */
  continuations: z.string().optional(),
  tasks: z.array(z.object({ format: z.enum(taskFormats), path: z.string() })).default([]),
  /** Examples of a task to score, evenly spread over its file. */
  examples: z.number().int().positive().default(200),
})

/** A model on a task: metrics 0..1 by name, the task's own first. */
export const taskScore = z.object({
  task: z.string(),
  examples: z.number().int(),
  metrics: z.record(z.string(), z.number()),
})
export type TaskScore = z.output<typeof taskScore>
/** Fits the temperatures of models on the calibration split of a mixture. Result: CalibrateResult. */
export const calibrateJob = z.object({
  ...computing,
  kind: z.literal('calibrate'),
  models: z.array(modelRef).min(1),
  corpora: z.array(z.object({ weight: z.number().positive(), row: corpus })).min(1),
  tokens: z.number().int().positive().default(4096),
})
/** In the models' order. */
export const calibrateResult = z.object({ calibrations: z.array(calibration) })
export type CalibrateResult = z.output<typeof calibrateResult>

/** Metrics of one model on one corpus (METHOD.md: metrics), or on the text file (corpus absent). */
export const modelScore = z.object({
  model: z.string(),
  corpus: z.string().optional(),
  tokens: z.number().int(),
  bytes: z.number().int(),
  crossEntropy: z.number(),
  perplexity: z.number(),
  bitsPerByte: z.number(),
  /** Tokens a window, and between the starts of two. */
  context: z.number().int().optional(),
  stride: z.number().int().optional(),
  /** Top-1 accuracy, expected calibration error (0..1) and Brier score (0..2) over the tokens. */
  accuracy: z.number().optional(),
  ece: z.number().optional(),
  brier: z.number().optional(),
  /** Of greedy continuations: BLEU 0..100, ROUGE-L 0..1, and how many there were. */
  bleu: z.number().optional(),
  rougeL: z.number().optional(),
  prompts: z.number().int().optional(),
  parameters: z.number().int().optional(),
  /** Forward pass: 2 a matmul weight and token, and attention over half the context. */
  flopsPerToken: z.number().optional(),
  /** Generation with the KV cache. */
  tokensPerSecond: z.number().optional(),
  tasks: z.array(taskScore).optional(),
})
export type ModelScore = z.output<typeof modelScore>
export const evaluateResult = z.object({ scores: z.array(modelScore) })
export type EvaluateResult = z.output<typeof evaluateResult>

/**
 * What the teachers of a run and its student say of the beginnings of held-out documents, token by token. Each goes to
 * the file named with it, as a DocumentDisagreement. Result: none.
 */
export const disagreementJob = z.object({
  ...base,
  kind: z.literal('disagreement'),
  config: runConfig,
  /** The student's: a folder with model.json and model.safetensors. */
  checkpoint: z.string(),
  corpus,
  documents: z.array(z.object({ document: z.number().int().nonnegative(), file: z.string() })).min(1),
  backend: z.enum(backends).default('auto'),
})

/** Continues a prompt. Result: GenerateResult; text arrives in `text` events as it is made. */
export const generateJob = z.object({
  ...computing,
  kind: z.literal('generate'),
  model: modelRef,
  prompt: z.string(),
  tokens: z.number().int().positive().default(100),
  /** 0 is greedy. */
  temperature: z.number().nonnegative().default(0),
  topP: z.number().positive().max(1).default(1),
  seed: z.number().int().default(1),
})
export const generateResult = z.object({
  /** The continuation, without the prompt. */
  text: z.string(),
  tokens: z.number().int(),
  tokensPerSecond: z.number(),
})
export type GenerateResult = z.output<typeof generateResult>

/** Writes a checkpoint's student for other tools. Result: `{files}`. */
export const exportJob = z.object({
  ...base,
  kind: z.literal('export'),
  model: modelRef,
  format: z.enum(['hf', 'onnx', 'llama2c']),
  out: z.string(),
})

/** Parts of the engine, timed. Result: AnyBenchResult. */
export const benchJob = z.object({
  ...computing,
  kind: z.literal('bench'),
  part: z.enum(['step', 'teacher', 'generation', 'tokenizer', 'grid']).default('step'),
  config: z.enum(['tiny', 'A', 'B', 'C']),
  steps: z.number().int().positive().default(12),
})
export const benchResult = z.object({
  config: z.string(),
  msPerStep: z.number(),
  minMsPerStep: z.number(),
  tokensPerSecond: z.number(),
  gflops: z.number(),
  /** Of one large matrix product in the same process, between the steps: the median. */
  ceilingGflops: z.number(),
  /** Model FLOP utilisation: gflops / ceilingGflops. */
  mfu: z.number(),
  peakRssMb: z.number(),
  /** Resident memory after step 200 and after the last, of runs of 400 steps and more. */
  growth: z.object({ startMb: z.number(), endMb: z.number() }).optional(),
  backend: z.string(),
  threads: z.number(),
  parameters: z.number(),
  firstLoss: z.number(),
  lastLoss: z.number(),
})
export type BenchResult = z.output<typeof benchResult>

/** A frozen model's forward pass. */
export interface TeacherBench {
  part: 'teacher'
  config: string
  parameters: number
  msPerPass: number
  tokensPerSecond: number
  backend: string
  threads: number
}

/** Greedy generation of `tokens` tokens with the KV cache, and reading the whole text anew for every token. */
export interface GenerationBench {
  part: 'generation'
  config: string
  parameters: number
  tokens: number
  tokensPerSecond: number
  tokensPerSecondWithoutCache: number
  /** How many times faster the cache makes it. */
  ratio: number
  sameTokens: boolean
  backend: string
  threads: number
}

/** Byte-level BPE: training on `megabytes` of text, then encoding it. */
export interface TokenizerBench {
  part: 'tokenizer'
  megabytes: number
  vocab: number
  trainingSeconds: number
  encodeMbPerSecond: number
  bytesPerToken: number
}

/**
 * A grid whose cells read the same batches of the same teachers: milliseconds a batch. `ratio` is what the grid takes
 * over what the passes and the students take alone, a student's step alone being the one whose teachers' outputs are
 * given in memory.
 */
export interface GridBench {
  part: 'grid'
  config: string
  parameters: number
  teachers: number
  cells: number
  batches: number
  /** Of one teacher: alone without the writing, else with it. */
  msPerPass: { alone: number; exact: number; 'top-k': number; sample: number }
  /** `none`: cross-entropy without teachers; `live`: each step asks the teachers. */
  msPerStep: { given: number; exact: number; 'top-k': number; sample: number; live: number; none: number }
  /** First and third quartile of the turns that the medians above are of. */
  spread: {
    msPerPass: Record<keyof GridBench['msPerPass'], [number, number]>
    msPerStep: Record<keyof GridBench['msPerStep'], [number, number]>
  }
  ratio: { exact: number; 'top-k': number; sample: number }
  ratioWithoutCache: number
  /** Largest difference of a step's loss to that with live teachers. */
  lossGap: { exact: number; 'top-k': number; sample: number }
  backend: string
  threads: number
}

export type AnyBenchResult = BenchResult | TeacherBench | GenerationBench | TokenizerBench | GridBench

/** Loads the backend and multiplies two matrices: does the native library live in this process? Result: Backends. */
export const selfTestJob = z.object({ ...base, kind: z.literal('self-test') })
export const selfTestResult = z.object({
  backends: z.array(
    z.object({
      name: z.string(),
      available: z.boolean(),
      version: z.string().optional(),
      note: z.string(),
      /** What it lacks, or lacks for its GPU: a line each. */
      missing: z.array(z.string()).optional(),
    }),
  ),
})
export type SelfTestResult = z.output<typeof selfTestResult>

export const job = z.discriminatedUnion('kind', [
  runJob,
  importCorpusJob,
  generateCorpusJob,
  trainTokenizerJob,
  importTokenizerJob,
  importTeacherJob,
  deriveTeacherJob,
  evaluateJob,
  calibrateJob,
  disagreementJob,
  generateJob,
  exportJob,
  benchJob,
  selfTestJob,
])
export type Job = z.output<typeof job>
export type JobInput = z.input<typeof job>
export type JobKind = Job['kind']

/** Host to worker. The first message is the job; `pause`, `continue` and `stop` act within one step. */
export const hostMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), job }),
  z.object({ type: z.literal('pause') }),
  z.object({ type: z.literal('continue') }),
  z.object({ type: z.literal('stop') }),
])
export type HostMessage = z.output<typeof hostMessage>

export const importTeacherResult = z.object({ teacher, tokenizer })

/**
 * Worker to host. A record is sent only after it has reached the run folder's log: what a host has seen survives the
 * death of the worker. `done` or `error` is the last event of a job.
 */
export const workerEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('environment'), environment }),
  /** `fraction` 0..1 of the whole job; `secondsLeft` once it can be told. */
  z.object({
    type: z.literal('progress'),
    phase: z.string(),
    fraction: z.number(),
    secondsLeft: z.number().optional(),
  }),
  z.object({ type: z.literal('step'), record: stepRecord }),
  z.object({ type: z.literal('evaluation'), record: evaluationRecord }),
  z.object({ type: z.literal('checkpoint'), checkpoint }),
  z.object({ type: z.literal('alarm'), alarm }),
  /** A teacher's temperature was fitted: the library keeps it with the teacher. */
  z.object({ type: z.literal('calibration'), teacher: id, calibration }),
  z.object({ type: z.literal('log'), level: z.enum(['info', 'warn', 'error']), message: z.string() }),
  /** Of this process; a resumed run adds them to what it had. */
  z.object({ type: z.literal('teacher-outputs'), outputs: z.array(teacherOutputs) }),
  z.object({ type: z.literal('paused') }),
  z.object({ type: z.literal('continued') }),
  z.object({ type: z.literal('text'), text: z.string() }),
  /** `result` by the job's kind; a run's is `{status: 'completed' | 'stopped', step}`. */
  z.object({ type: z.literal('done'), result: z.unknown() }),
  z.object({ type: z.literal('error'), error: errorShape }),
])
export type WorkerEvent = z.output<typeof workerEvent>

/** What of these is kept in the run folder's `events.jsonl`, with the time it happened. */
export const loggedEvent = z.object({
  at: z.iso.datetime(),
  event: z.enum([
    'started',
    'resumed',
    'paused',
    'continued',
    'checkpoint',
    'alarm',
    'log',
    'completed',
    'stopped',
    'failed',
  ]),
  step: z.number().optional(),
  message: z.string().optional(),
  /** Of an `alarm`; `message` repeats its sentence. */
  alarm: alarm.optional(),
})
export type LoggedEvent = z.output<typeof loggedEvent>
