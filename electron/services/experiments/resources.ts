import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { failed } from '#contract'

/** A file of `resources/`, looked for from this module upwards: source and build lie at different depths. */
export function resource(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'resources', name))) {
    const up = dirname(folder)
    if (up === folder) throw failed(`resources/${name} is missing from this installation`)
    folder = up
  }
  return join(folder, 'resources', name)
}
