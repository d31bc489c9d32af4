import { z } from 'zod'
import { experiment, objectName } from './experiment'

/** A base experiment and axes over paths of its schema; the cells are the product of axes and seeds. */
export const grid = z.strictObject({
  name: objectName,
  base: z.union([z.string().min(1), experiment]),
  axes: z.record(z.string(), z.array(z.unknown()).min(1)),
  seeds: z.array(z.number().int().nonnegative()).min(1).default([1]),
})
export type Grid = z.output<typeof grid>
