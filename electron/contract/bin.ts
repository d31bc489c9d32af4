import { z } from 'zod'
import { objectName } from './experiment'
import { id, timestamp } from './library'

/** What can be removed and put back. */
export const binNouns = ['experiments', 'corpora', 'teachers', 'grids', 'runs', 'reports'] as const
export type BinNoun = (typeof binNouns)[number]

/** Days that a removed thing is kept for. */
export const BIN_DAYS = 30

/** A thing that was removed and can be put back; `bin/<id>/` holds its row and its files. */
export const binEntry = z.object({
  id,
  noun: z.enum(binNouns),
  name: objectName,
  /** Of its files. */
  bytes: z.number().int().nonnegative(),
  removedAt: timestamp,
})
export type BinEntry = z.output<typeof binEntry>

/** Something that refers to a thing, and how. */
export const use = z.object({
  noun: z.enum(binNouns),
  id,
  name: objectName,
  /** A verb and what follows: `learns from it`. */
  says: z.string(),
})
export type Use = z.output<typeof use>
