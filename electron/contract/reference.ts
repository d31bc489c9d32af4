import { z } from 'zod'

/** Weights that stay where they were imported from, and each of their files as it was then. */
export const weightsReference = z.strictObject({
  /** An absolute path. */
  folder: z.string(),
  files: z
    .record(
      z.string().regex(/^[^/\\]+$/, 'expected the name of a file'),
      z.strictObject({
        bytes: z.number().int().nonnegative(),
        /** When it was written, milliseconds since 1970. */
        modified: z.number(),
        /** SHA-256, hexadecimal. */
        digest: z.string().regex(/^[0-9a-f]{64}$/, 'a digest is 64 hexadecimal digits'),
      }),
    )
    .refine((files) => Object.keys(files).length > 0, 'expected a file'),
})
export type WeightsReference = z.output<typeof weightsReference>
