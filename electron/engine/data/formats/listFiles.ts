import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { badInput } from '#contract'

/** Endings of files that a folder is looked through for. */
const ENDINGS = [
  ...['.txt', '.text', '.md', '.jsonl', '.ndjson', '.json', '.csv', '.tsv', '.tab'],
  ...['.parquet', '.arrow', '.gz', '.zst', '.zip'],
]
/** What `datasets` keeps beside its Arrow files. */
const BOOKKEEPING = ['state.json', 'dataset_info.json', 'dataset_dict.json', 'dataset_infos.json']

/** The ending that tells what is within, in small letters: `.csv` of `a.CSV.gz`. */
export function endingOf(name: string): string {
  const plain = basename(name.toLowerCase()).replace(/\.(gz|zst)$/, '')
  return /\.[^.]*$/.exec(plain)?.[0] ?? ''
}

/**
 * The files of a path, sorted by name: a file, a folder with its subfolders, or a pattern (`*`, `?`, `**`, `{a,b}`).
 *
 * @throws bad-input when there is none
 */
export function listFiles(path: string): string[] {
  if (existsSync(path) && statSync(path).isFile()) return [path]
  const folder = existsSync(path)
  if (!folder && !/[*?{]/.test(path)) throw badInput('there is no such file or folder', { file: path })
  const files = folder ? within(path).filter(readable) : matching(path)
  if (!files.length)
    throw badInput(folder ? 'the folder holds no text' : 'no file matches', {
      file: path,
      expected: folder ? ENDINGS.join(', ') : 'a pattern of files, as data/*.jsonl',
    })
  return files
}

const readable = (file: string) =>
  ENDINGS.some((ending) => file.toLowerCase().endsWith(ending)) && !BOOKKEEPING.includes(basename(file))

/** Files below a folder that are not hidden. */
function within(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function matching(pattern: string): string[] {
  let root = dirname(pattern.slice(0, pattern.search(/[*?{]/)) + 'x')
  if (!existsSync(root)) root = dirname(root)
  if (!existsSync(root)) return []
  const expression = expressionOf(pattern.replaceAll(sep, '/'))
  return within(root).filter(
    (file) => expression.test(file.replaceAll(sep, '/')) && !BOOKKEEPING.includes(basename(file)),
  )
}

/** A pattern as an expression: `**` goes over folders, `*` and `?` stay within one. */
function expressionOf(pattern: string): RegExp {
  let braces = 0
  const source = pattern.replace(/\*\*\/|\*+|\?|[{},]|[\\^$+.()|[\]]/g, (sign) => {
    if (sign === '**/') return '(?:[^/]+/)*'
    if (sign[0] === '*') return '[^/]*'
    if (sign === '?') return '[^/]'
    if (sign === '{') return braces++ >= 0 ? '(?:' : ''
    if (sign === '}') return braces-- > 0 ? ')' : '\\}'
    if (sign === ',') return braces > 0 ? '|' : ','
    return `\\${sign}`
  })
  if (braces) throw badInput('a brace of the pattern is not closed', { file: pattern })
  return new RegExp(`^${source}$`, 'u')
}
