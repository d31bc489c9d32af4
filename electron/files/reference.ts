import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { WeightsReference } from '#contract'
import { sha256, sha256File } from './digest'

/** Weights that are not copied: their files as they are now. */
export async function referTo(folder: string, names: Iterable<string>): Promise<WeightsReference> {
  const files: WeightsReference['files'] = {}
  for (const name of [...names].sort()) {
    const path = join(folder, name)
    const { size: bytes, mtimeMs: modified } = statSync(path)
    files[name] = { bytes, modified, digest: await sha256File(path) }
  }
  return { folder, files }
}

/** Of one file its SHA-256, of several that of all their names and digests. */
export function digestOfReference({ files }: WeightsReference): string {
  const all = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))
  if (all.length === 1) return all[0]![1].digest
  return sha256(JSON.stringify(all.map(([name, { digest }]) => [name, digest])))
}

/**
 * The first file that is not as it was, and what is wrong with it; undefined where all are.
 *
 * @param deep reads all of them; else those alone whose time says that they were written since
 */
export async function changedReference(
  { folder, files }: WeightsReference,
  deep: boolean,
): Promise<{ file: string; why: string } | undefined> {
  for (const [name, { bytes, modified, digest }] of Object.entries(files)) {
    const file = join(folder, name)
    const now = statSync(file, { throwIfNoEntry: false })
    if (!now?.isFile()) return { file, why: 'it is not there any more' }
    if (now.size !== bytes) return { file, why: `it has ${now.size} bytes and had ${bytes}` }
    if ((deep || now.mtimeMs !== modified) && (await sha256File(file)) !== digest)
      return { file, why: `its content is another; expected SHA-256 ${digest}` }
  }
  return undefined
}
