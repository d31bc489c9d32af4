import { z } from 'zod'
import { computing } from './base'

/** Parts of the engine, timed. Result: AnyBenchResult. */
export const benchJob = z.object({
  ...computing,
  kind: z.literal('bench'),
  part: z.enum(['step', 'teacher', 'generation', 'tokenizer', 'grid']).default('step'),
  /** R: a vocabulary of 50,280 and teachers of 135 M parameters, of the part `step` only. */
  config: z.enum(['tiny', 'A', 'B', 'C', 'R']),
  /** Of R. */
  teachers: z.number().int().min(1).max(8).default(1),
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
  /** Prompts of 32 tokens continued side by side by 64: tokens written in a second, reading the prompts counted. */
  together: { sequences: number; tokensPerSecond: number }[]
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
