import { z } from 'zod'
import { binEntry, binNouns, use } from '../bin'
import { id } from '../library'
import { byId, method, none } from './method'

const ids = z.array(id).min(1)

/** `<noun>.remove` puts a thing here, with its files; nothing is deleted before its time or a person says so. */
export const bin = {
  /** The newest first. */
  'bin.list': method(none, z.array(binEntry)),
  /** What refers to things that are to be removed. */
  'bin.uses': method(z.strictObject({ noun: z.enum(binNouns), ids }), z.array(use)),
  /** Puts it back: under another name where its own is taken by now. */
  'bin.restore': method(byId, z.object({ noun: z.enum(binNouns), id, name: z.string() })),
  /** Deletes these for good, by default all. */
  'bin.empty': method(
    z.strictObject({ ids: ids.optional() }),
    z.object({ entries: z.number(), bytes: z.number() }),
  ),
} as const
