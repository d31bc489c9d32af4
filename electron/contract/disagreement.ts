import { z } from 'zod'

/** Documents of a held-out split that are read at a time, and the tokens of each. */
export const EXCERPT_DOCUMENTS = 4
export const EXCERPT_TOKENS = 256
/** What a model holds likeliest: so many tokens. */
export const LIKELIEST = 5

const probability = z.number().min(0).max(1)

/** A model's distribution over the next token: the likeliest tokens, by id, and what it gave the one that came. */
export const prediction = z.object({
  top: z.array(z.tuple([z.number().int(), probability])),
  truth: probability,
})
export type Prediction = z.output<typeof prediction>

/**
 * A token of held-out text, and what was said of it before it came. Distributions are at the run's tau, divided by each
 * teacher's temperature where the run calibrates: those that the student learns from.
 */
export const tokenDisagreement = z.object({
  id: z.number().int(),
  /** What it adds to the text; empty where it begins a character that a later token ends. */
  text: z.string(),
  /** Whether it is left out of losses and metrics, as what a user says to an assistant. */
  uncounted: z.literal(true).optional(),
  /** Generalised Jensen-Shannon divergence of the teachers under their weights, nats: 0 .. log K. */
  disagreement: z.number(),
  /** A weight for each teacher; their sum is 1. */
  alpha: z.array(z.number()),
  teachers: z.array(prediction),
  target: prediction,
  student: prediction,
})
export type TokenDisagreement = z.output<typeof tokenDisagreement>

/** The beginning of a held-out document, token by token; BOS is not among them. */
export const documentDisagreement = z.object({
  /** Its number within the held-out split. */
  document: z.number().int().nonnegative(),
  /** Whether the document goes on after these tokens. */
  cut: z.boolean(),
  tokens: z.array(tokenDisagreement),
  /** The text of every token id that a prediction names. */
  pieces: z.record(z.string(), z.string()),
})
export type DocumentDisagreement = z.output<typeof documentDisagreement>

/** Where the teachers of a run disagree on a few held-out documents, and what its student says there. */
export const disagreementPage = z.object({
  corpus: z.string(),
  /** Documents of the held-out split in all. */
  total: z.number().int(),
  /** The checkpoint whose student was asked. */
  step: z.number().int(),
  tau: z.number(),
  teachers: z.array(z.string()),
  documents: z.array(documentDisagreement),
})
export type DisagreementPage = z.output<typeof disagreementPage>
