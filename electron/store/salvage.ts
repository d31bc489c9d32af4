import { existsSync, readFileSync } from 'node:fs'
import { isRecord, parse, SCHEMA_VERSION, settings as settingsSchema, type Settings } from '#contract'
import { tryJson } from '../files'
import {
  catalogueLists,
  catalogueSchema,
  decodeText,
  isBare,
  rowSchema,
  type CatalogueData,
  type ListName,
} from './catalogue'

/** Something of a catalogue that could not be read. */
export interface Lost {
  /** Absent where it cannot be told. */
  list?: ListName | 'settings'
  /** As `rowKey`, or a setting's name; absent where it cannot be told. */
  id?: string
  /** Of the file, from 1; absent where the file was read as a whole. */
  line?: number
  why: string
}

/** What can be read of a catalogue. */
export interface Salvage {
  rows: { [List in ListName]: CatalogueData[List] }
  settings: Partial<Settings>
  lost: Lost[]
  /** Whether the file was JSON as a whole: then what it does not have was removed, and not lost. */
  parsed: boolean
}

/** What a row is known by within its list. */
export function rowKey(row: unknown): string {
  const { id, model, corpus } = row as { id?: string; model?: string; corpus?: string }
  return id ?? `${model} on ${corpus ?? 'text'}`
}

/**
 * Reads of a catalogue what can be read, row by row: of one that is JSON each row that is one of its list; else line by
 * line, as the catalogue is written a row a line, or a list's rows indented.
 */
export function salvage(file: string): Salvage {
  const found: Salvage = {
    rows: Object.fromEntries(catalogueLists.map((list) => [list, []])) as unknown as Salvage['rows'],
    settings: {},
    lost: [],
    parsed: false,
  }
  if (!existsSync(file)) {
    for (const list of [...catalogueLists, 'settings' as const])
      found.lost.push({ list, why: 'the file is missing' })
    return found
  }
  const bytes = readFileSync(file)
  const raw = whole(bytes)
  if (raw) {
    found.parsed = true
    const foreign = foreignTo(raw)
    found.lost.push(...foreign)
    // An earlier version's catalogue may lack a list; this one's does not.
    const complete = !foreign.length && !isBare(raw)
    for (const list of catalogueLists) {
      const { [list]: rows = complete ? [] : undefined } = raw
      if (!Array.isArray(rows)) found.lost.push({ list, why: rows ? 'it is no list' : 'it is missing' })
      else for (const row of rows) take(found, row, list)
    }
    if (raw.settings !== undefined || !complete) takeSettings(found, raw.settings)
  } else takeLines(found, bytes)
  return found
}

/** What this version does not know. */
function foreignTo(raw: Record<string, unknown>): Lost[] {
  const { schemaVersion = 0 } = raw
  const keys = Object.keys(raw).filter((key) => !Object.hasOwn(catalogueSchema.shape, key))
  const lost = keys.map((key): Lost => ({ why: `unknown key "${key}"` }))
  if (schemaVersion !== 0 && schemaVersion !== SCHEMA_VERSION)
    lost.push({ why: `schemaVersion is ${String(schemaVersion)}; expected ${SCHEMA_VERSION}` })
  return lost
}

function whole(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const raw: unknown = JSON.parse(decodeText(bytes))
    return isRecord(raw) ? raw : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes a row into the list whose schema it fits.
 *
 * @param known the list that it stands in
 * @param line where that list's own line may be damaged: then the row says of itself what it is
 */
function take(found: Salvage, raw: unknown, known: ListName | undefined, line?: number): void {
  let why: string | undefined
  for (const list of candidates(known, line)) {
    try {
      const row = parse(rowSchema(list), raw)
      const rows = found.rows[list] as unknown[]
      if (!rows.some((other) => rowKey(other) === rowKey(row))) rows.push(row)
      return
    } catch (error) {
      why ??= (error as Error).message
    }
  }
  const id = isRecord(raw) ? keyOf(raw) : undefined
  found.lost.push({ list: known, id, line, why: why! })
}

/** Each that is within its bounds. */
function takeSettings(found: Salvage, raw: unknown): void {
  if (!isRecord(raw)) {
    found.lost.push({ list: 'settings', why: 'they cannot be read' })
    return
  }
  for (const [key, value] of Object.entries(raw)) {
    const schema = Object.hasOwn(settingsSchema.shape, key)
      ? settingsSchema.shape[key as keyof Settings]
      : undefined
    const result = schema?.safeParse(value)
    if (result?.success) Object.assign(found.settings, { [key]: result.data })
    else found.lost.push({ list: 'settings', id: key, why: schema ? 'is not valid here' : 'unknown setting' })
  }
}

/** What a row is known by that is none of its list. */
function keyOf(raw: Record<string, unknown>): string | undefined {
  return typeof raw.id === 'string' || typeof raw.model === 'string' ? rowKey(raw) : undefined
}

/** The first id of a row's text is its own. */
function idIn(text: string): string | undefined {
  return /"id":\s*"([a-z0-9][a-z0-9-]*)"/.exec(text)?.[1]
}

const OPENS = /^\s*"(\w+)":\s*\[\s*(\],?)?\s*$/
const SETTINGS = /^\s*"settings":\s*(\{.*)$/
/** What is no row: the catalogue's own brackets, and its version. */
const FRAME = /^(?:[{}]|\s*\],?|\s*"schemaVersion":.*|\s*)$/

function takeLines(found: Salvage, bytes: Uint8Array): void {
  let list: ListName | undefined
  const seen = new Set<string>()
  for (const { text, line, problem } of logicalLines(bytes)) {
    const opened = OPENS.exec(text)
    const settings = SETTINGS.exec(text)
    if (opened?.[1]) seen.add(opened[1])
    if (opened) list = opened[2] ? undefined : catalogueLists.find((name) => name === opened[1])
    else if (/^\s*\],?$/.test(text)) list = undefined
    if (opened || FRAME.test(text)) continue
    const known = settings ? 'settings' : list
    const raw = problem === undefined ? jsonOf(settings?.[1] ?? text) : undefined
    if (!raw) {
      const why = problem ?? 'it cannot be read as JSON'
      found.lost.push({ list: known, id: settings ? undefined : idIn(text), line, why })
    } else if (settings) takeSettings(found, raw)
    else take(found, raw, list, line)
    if (settings) seen.add('settings')
  }
  for (const key of [...catalogueLists, 'settings' as const])
    if (!seen.has(key)) found.lost.push({ list: key, why: 'not there any more' })
}

function candidates(known: ListName | undefined, line?: number): readonly ListName[] {
  if (!known) return catalogueLists
  return line === undefined ? [known] : [known, ...catalogueLists.filter((name) => name !== known)]
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  const raw = tryJson(text.trim().replace(/,$/, ''))
  return isRecord(raw) ? raw : undefined
}

interface Line {
  text: string
  /** From 1. */
  line: number
  problem?: string
}

/** Lines of the file; the lines of an indented group, up to the bracket below its first one, as one. */
function logicalLines(bytes: Uint8Array): Line[] {
  const lines = split(bytes)
  const joined: Line[] = []
  for (let i = 0; i < lines.length; i++) {
    const first = lines[i]!
    const [, indent] = /^(\s+)(?:"settings": )?\{$/.exec(first.text) ?? []
    let end = i + 1
    while (indent !== undefined && end < lines.length && !closes(lines[end]!.text, indent)) end++
    if (indent === undefined || end === lines.length) {
      joined.push(first)
      continue
    }
    const group = lines.slice(i, end + 1)
    const text = group.map((one) => one.text).join('')
    joined.push({ text, line: first.line, problem: group.find(({ problem }) => problem)?.problem })
    i = end
  }
  return joined
}

const closes = (text: string, indent: string) => text === `${indent}}` || text === `${indent}},`

function split(bytes: Uint8Array): Line[] {
  const lines: Line[] = []
  const lenient = new TextDecoder('utf-8')
  for (let from = 0, line = 1; from < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, from)
    const part = bytes.subarray(from, newline < 0 ? bytes.length : newline)
    from += part.length + 1
    try {
      lines.push({ text: decodeText(part).replace(/\r$/, ''), line })
    } catch (error) {
      lines.push({ text: lenient.decode(part), line, problem: (error as Error).message })
    }
  }
  return lines
}
