import { z } from 'zod'

/** A file or a folder of the host, to be picked from. */
export const browsedEntry = z.object({
  name: z.string(),
  path: z.string(),
  kind: z.enum(['file', 'folder']),
  /** Of a file. */
  bytes: z.number().optional(),
})
export type BrowsedEntry = z.output<typeof browsedEntry>

/** What a folder of the host holds, hidden things left out: folders first, each kind by name. */
export const browsedFolder = z.object({
  /** Nothing above it is shown. */
  root: z.string(),
  path: z.string(),
  /** The folder around it; absent at the root. */
  parent: z.string().optional(),
  entries: z.array(browsedEntry),
  /** How many more it holds than are listed. */
  more: z.number().int(),
})
export type BrowsedFolder = z.output<typeof browsedFolder>
