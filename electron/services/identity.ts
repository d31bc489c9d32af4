import { randomInt } from 'node:crypto'
import { basename } from 'node:path'
import { badInput, isHubName, notFound, parseHubName } from '#contract'

interface Named {
  id: string
  name: string
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** A readable id that is new: the name's letters and digits, then four at random. */
export function newId(name: string, rows: readonly { id: string }[] = []): string {
  const slug = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40)
  for (;;) {
    const tail = Array.from({ length: 4 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
    const id = slug ? `${slug}-${tail}` : tail
    if (!rows.some((row) => row.id === id)) return id
  }
}

/** The row with that name or id. */
export function find<T extends Named>(noun: string, rows: readonly T[], nameOrId: string): T {
  const row = rows.find(({ id }) => id === nameOrId) ?? rows.find(({ name }) => name === nameOrId)
  if (row) return row
  throw notFound(
    noun,
    nameOrId,
    rows.flatMap(({ id, name }) => [name, id]),
  )
}

/** As `find`, for a name that stands in a file: the error names file and field. */
export function findNamed<T extends Named>(
  noun: string,
  rows: readonly T[],
  nameOrId: string,
  where: { file?: string; field: string },
): T {
  try {
    return find(noun, rows, nameOrId)
  } catch (error) {
    throw badInput((error as Error).message, {
      ...where,
      expected: rows.length
        ? `one of ${rows.map(({ name }) => name).join(', ')}`
        : `a ${noun}; the library has none`,
    })
  }
}

/** Signs that are not seen, or turn what follows them around: two names that look the same would not be. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\u2800\u3164]/gu

/** Refuses a name that is taken, that cannot be seen, or that reads as something else than it is. */
export function checkFree(noun: string, rows: readonly Named[], name: string): void {
  if (name.search(UNSEEN) >= 0 || /^[\s.]*$/u.test(name)) {
    const shown = name.replace(UNSEEN, (sign) => `\\u{${sign.codePointAt(0)!.toString(16)}}`)
    throw badInput(`the name "${shown}" holds signs that cannot be seen, or nothing else`, {
      field: 'name',
      expected: 'letters, digits and other visible signs',
    })
  }
  if (rows.some((row) => row.name === name || row.id === name)) {
    throw badInput(`there is already a ${noun} named "${name}"`, {
      field: 'name',
      expected: 'a name that is free',
    })
  }
}

/** `name`, or `name-2`, `name-3`, ... whichever is free. */
export function freeName(rows: readonly Named[], name: string): string {
  const taken = new Set(rows.flatMap((row) => [row.id, row.name]))
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`
    if (!taken.has(candidate)) return candidate
  }
}

/**
 * A library name from a path: its last part without extensions. Of a name of the Hub the model's, whose dots are not of
 * extensions.
 *
 * @throws bad-input when it begins as a name of the Hub and is none
 */
export function nameFromPath(path: string): string {
  if (isHubName(path)) return parseHubName(path).name
  return (
    basename(path)
      .replace(/(\.[a-z0-9]{1,8})+$/i, '')
      .replace(UNSEEN, '')
      .trim() || 'unnamed'
  )
}
