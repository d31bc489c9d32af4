import { z } from 'zod'
import { measured } from './measured'
import { objectName } from './model'

const count = z.number().int().positive()
const natural = z.number().int().nonnegative()

export const sourceKinds = ['corpus', 'student', 'mixed'] as const

/**
 * Where the text of a step comes from (GKD, arXiv 2306.13649). Of a sequence that the student writes the written tokens
 * alone count, and in the teachers' part of the loss alone: cross-entropy counts on the corpora's text.
 */
export const trainSource = z.strictObject({
  /** `corpus`: from the corpora; `student`: written by the student of that moment; `mixed`: a share of each step's is. */
  kind: z.enum(sourceKinds).default('corpus'),
  /** Of `mixed`: the share of the sequences that the student writes. */
  share: z.number().gt(0).lt(1).default(0.5),
  /** What the student goes on from: of text the first tokens of a document, of conversations all before an answer. */
  prompts: z
    .strictObject({
      /** One of the mixture's corpora; absent: all of them, by their weights. */
      corpus: objectName.optional(),
      /** Of a document, after its BOS. */
      tokens: count.default(16),
    })
    .prefault({}),
  /** Written at most; the end token ends it before. */
  tokens: count.default(64),
  /** Of the drawing; 0 takes the likeliest token. */
  temperature: z.number().nonnegative().default(1),
  /** Draws from the smallest set of tokens whose probability reaches this. */
  topP: z.number().gt(0).max(1).default(1),
  /** Steps between writings: those in between learn on what is there, which an earlier student wrote. */
  every: count.default(1),
  /** Sequences that are kept to be drawn from again; 0: those of the last writing. */
  buffer: natural.default(0),
})
export type TrainSource = z.output<typeof trainSource>

/** The share of the sequences that the student writes, 0..1. */
export function writtenShare({ source: { kind, share } }: { source: TrainSource }): number {
  if (kind === 'mixed') return share
  return kind === 'student' ? 1 : 0
}

/** Whether the student writes some of what it learns on. */
export const writes = (train: { source: TrainSource }): boolean => writtenShare(train) > 0

/** Of a step, from 1, how many of its sequences the student writes: over the steps the share is kept exactly. */
export function writtenAt(train: { source: TrainSource; batch: number }, step: number): number {
  const upTo = (steps: number) => Math.round(writtenShare(train) * train.batch * steps)
  return upTo(step) - upTo(step - 1)
}

/** The most sequences that the student writes of a step. */
export function mostWritten(train: { source: TrainSource; batch: number }): number {
  return Math.ceil(writtenShare(train) * train.batch)
}

/** What a step learned of the student's own text. */
export const writtenFigures = z.object({
  /** Sequences of the step that the student wrote, and their written tokens. */
  sequences: z.number().int().positive(),
  tokens: z.number().int().positive(),
  /** Mean written tokens a sequence; the share of sequences that came to their end, and that ended at once. */
  length: z.number(),
  ended: z.number(),
  empty: z.number(),
  /** Different 4-grams among all of a sequence's, mean over those that have some; 1: nothing is said twice. */
  distinct: z.number().optional(),
  /** Steps since they were written, mean; 0: on the policy. */
  age: z.number(),
  /** How much likelier the writing student found a written token than the learning one does, nats, mean: off the policy. */
  gap: z.number(),
})
export type WrittenFigures = z.output<typeof writtenFigures>

/** A token that the student wrote: what it adds to the text, and what is said of it before it is learnt on. */
export const writtenToken = z.object({
  text: z.string(),
  /** Of the student from the fused target, by the run's objective and with its tau^2, nats. */
  divergence: measured,
  /** A weight for each teacher; their sum is 1. */
  alpha: z.array(z.number()),
})
export type WrittenToken = z.output<typeof writtenToken>

/** A line of `writings.jsonl`: what the student wrote at a step. */
export const writing = z.object({
  step: z.number().int().positive(),
  corpus: z.string(),
  prompt: z.string(),
  text: z.string(),
  tokens: z.number().int(),
  ended: z.boolean(),
  distinct: z.number().optional(),
  /** Token by token, with the end. */
  said: z.array(writtenToken),
})
export type Writing = z.output<typeof writing>
