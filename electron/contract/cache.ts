import { z } from 'zod'
import { digest, timestamp } from './library'

/** One teacher's outputs on one plan of batches: a folder of the teacher-output cache. */
export const cacheEntry = z.object({
  key: digest,
  /** Names, as they were when it was written. */
  teacher: z.string(),
  corpora: z.array(z.string()),
  split: z.enum(['train', 'held-out', 'calibration']),
  /** On disk. */
  bytes: z.number(),
  /** Runs that found it whole and read it, so that their teacher made no pass. */
  hits: z.number().int(),
  createdAt: timestamp,
  usedAt: timestamp,
  /** A run that waits or is at work reads it: it is not removed. */
  inUse: z.boolean(),
})
export type CacheEntry = z.output<typeof cacheEntry>

/** What a removal has freed, in bytes, and how many entries are left because they are in use. */
export const cacheCleared = z.object({
  removed: z.number().int(),
  bytes: z.number(),
  inUse: z.number().int(),
})
export type CacheCleared = z.output<typeof cacheCleared>

/** `about.json` of an entry. */
export const cacheAbout = z.object({
  schemaVersion: z.literal(1),
  teacher: z.string(),
  corpora: z.array(z.string()).default([]),
  split: z.string(),
  /** Of a batch. */
  tokens: z.number().int(),
  /** That the teacher took, the first batch left out; absent until two batches were timed. */
  secondsPerToken: z.number().optional(),
  createdAt: timestamp.optional(),
})
export type CacheAbout = z.output<typeof cacheAbout>
