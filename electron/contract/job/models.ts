import { z } from 'zod'
import { badInput } from '../errors'
import { backends } from '../experiment'
import { int8Cost } from '../int8Cost'
import { calibration, corpus, taskFormats } from '../library'
import { tokenizer } from '../tokenizer'
import { measured } from '../measured'
import { reliabilityBin } from '../metrics'
import { runConfig } from '../run'
import { base, computing } from './base'

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
  /** Whether models that share a tokenizer are compared with each other, on the corpora. */
  divergence: z.boolean().default(false),
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

/** Measures what matrices in 8 bits cost models of ours, on the held-out text of corpora. Result: Int8Result. */
export const int8Job = z.object({
  ...computing,
  kind: z.literal('measure-int8'),
  models: z.array(modelRef).min(1),
  corpora: z.array(corpus).min(1),
  /** Of each corpus, at most. */
  tokens: z.number().int().positive().default(4096),
})
/** In the models' order. */
export const int8Result = z.object({ costs: z.array(int8Cost) })
export type Int8Result = z.output<typeof int8Result>

/** Metrics of one model on one corpus (METHOD.md: metrics), or on the text file (corpus absent). */
export const modelScore = z.object({
  model: z.string(),
  corpus: z.string().optional(),
  tokens: z.number().int(),
  bytes: z.number().int(),
  crossEntropy: measured,
  perplexity: measured,
  bitsPerByte: measured,
  /** Tokens a window, and between the starts of two. */
  context: z.number().int().optional(),
  stride: z.number().int().optional(),
  /** Top-1 accuracy, expected calibration error (0..1) and Brier score (0..2) over the tokens. */
  accuracy: z.number().optional(),
  ece: measured.optional(),
  brier: measured.optional(),
  /** Of the reliability diagram. */
  bins: z.array(reliabilityBin).optional(),
  /** KL(this || other) in nats per token, by the other models of its tokenizer: their ids, in a job their numbers. */
  kl: z.record(z.string(), measured).optional(),
  /** Of greedy continuations: BLEU 0..100, ROUGE-L 0..1, and how many there were. */
  bleu: z.number().optional(),
  rougeL: z.number().optional(),
  prompts: z.number().int().optional(),
  parameters: z.number().int().optional(),
  /** Forward pass: 2 a matmul weight and token, and attention over half the context. */
  flopsPerToken: z.number().optional(),
  /** Generation with the KV cache, up to 32 texts side by side. */
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
  /** So many of the likeliest are told of each token. */
  alternatives: z.number().int().nonnegative().max(20).default(0),
})
/** A token that was written, and what the model held likeliest in its place, by its own probabilities (temperature 1). */
export const continuedToken = z.object({
  text: z.string(),
  probability: z.number(),
  /** Likeliest first. */
  alternatives: z.array(z.object({ text: z.string(), probability: z.number() })),
})
export type ContinuedToken = z.output<typeof continuedToken>

export const generateResult = z.object({
  /** The continuation, without the prompt. */
  text: z.string(),
  tokens: z.number().int(),
  tokensPerSecond: z.number(),
  /** Each token, where alternatives were asked for. */
  written: z.array(continuedToken).optional(),
})
export type GenerateResult = z.output<typeof generateResult>

/**
 * What other tools read: a folder of Hugging Face transformers, a student's adapters for PEFT, llama.cpp's GGUF, an ONNX
 * file, llama2.c's checkpoint.
 */
export const exportFormats = ['hf', 'peft', 'gguf', 'onnx', 'llama2c'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** What the numbers of an export may be: float32, float16, bfloat16, or ggml's eight bits with a scale for 32 numbers. */
export const exportDtypes = ['f32', 'bf16', 'f16', 'q8_0'] as const
export type ExportDtype = (typeof exportDtypes)[number]

/** Which of them a format is written in. */
export const dtypesOf: Readonly<Record<ExportFormat, readonly ExportDtype[]>> = {
  hf: ['f32', 'bf16'],
  peft: ['f32'],
  gguf: ['f32', 'f16', 'q8_0'],
  onnx: ['f32'],
  llama2c: ['f32'],
}

/** @throws bad-input where a format is not written so */
export function checkDtype(format: ExportFormat, dtype: ExportDtype): void {
  const known = dtypesOf[format]
  if (known.includes(dtype)) return
  throw badInput(`${format} is not written in ${dtype}`, { field: 'dtype', expected: known.join(' or ') })
}

/** Writes a checkpoint's student for other tools. Result: ExportResult. */
export const exportJob = z.object({
  ...base,
  kind: z.literal('export'),
  model: modelRef,
  format: z.enum(exportFormats),
  dtype: z.enum(exportDtypes).default('f32'),
  /** Of a Hugging Face folder: bytes of a file of weights, above which there are several. Default: 5 GB, the Hub's. */
  shard: z.number().int().positive().default(5e9),
  /** Of a Hugging Face folder, or of adapters: the model card, Markdown with front matter. */
  card: z.string().optional(),
  /** Of an ONNX file: with the hidden states of every layer as outputs. */
  hiddenStates: z.boolean().default(false),
  /** Of an ONNX file: with keys and values of earlier tokens as inputs, and of all as outputs. */
  kvCache: z.boolean().default(false),
  out: z.string(),
})

export const exportResult = z.object({
  files: z.array(z.string()),
  /** What another tool will do otherwise than Retort does. */
  warnings: z.array(z.string()),
})
export type ExportResult = z.output<typeof exportResult>
