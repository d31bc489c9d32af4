import { isServedUrl, parseServedUrl, type ServedImport } from '#contract'
import { nameFromPath } from '../identity'

/** The given name, or the path's; what names no model of the Hub is refused also where a name is given. */
export function importName({
  name,
  path,
  served,
}: {
  name?: string
  path: string
  served?: ServedImport
}): string {
  if (isServedUrl(path)) {
    // Refused here too: an address that holds a password is to go nowhere.
    parseServedUrl(path)
    return name ?? nameFromPath(served?.model ?? 'served')
  }
  const own = nameFromPath(path)
  return name ?? own
}
