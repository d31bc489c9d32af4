import { z } from 'zod'
import { objectName } from '../experiment'
import { id } from '../library'

export function method<P extends z.ZodType, R extends z.ZodType>(params: P, result: R) {
  return { params, result }
}

export const none = z.strictObject({})
export const byId = z.strictObject({ id })
export const byName = z.strictObject({ name: objectName })
/** Starts it also when it needs more memory than may be had. */
export const forced = z.boolean().optional()
/** The file that a definition was read from, for messages. */
export const definitionSource = z.string().optional()
