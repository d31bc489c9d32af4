import { gunzipSync, gzipSync } from 'node:zlib'
import type { Random } from '../files'

/** Makes another input of a valid one. */
export type Mutate = (seed: Uint8Array, random: Random) => Uint8Array

const one = <T>(random: Random, of: readonly T[]): T => of[random.integer(of.length)]!

/** Numbers at which something ends: signs, words, precision, what JSON can write and a double cannot hold. */
const NUMBERS = `0 -0 1 -1 2 3 0.5 -1e-7 255 256 65536 2147483647 2147483648 -2147483648 4294967296 16777216
  9007199254740993 1e15 1e21 1e308 -1e308 1e999 -1e999 1e-320`.split(/\s+/)
const STRINGS = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '..',
  '../../etc/hostname',
  '/etc/hostname',
  'a\u0000b',
  '\u001b]0;title\u0007',
  '\u202egnp.exe',
  '\ufeffbom',
  '\ud800',
  'x\ny',
  '=1+1',
  '<img src=x onerror=alert(1)>',
  'é'.repeat(3000),
  '1'.repeat(400),
  'NaN',
  'Infinity',
  'null',
  '2026-02-31T00:00:00.000Z',
]

/** A JSON value with its keys in order, twice if they stand twice; leaves as they are written. */
type Tree =
  { kind: 'leaf'; text: string } | { kind: 'list'; items: Tree[] } | { kind: 'object'; entries: Entry[] }
type Entry = [key: string, value: Tree]

function toTree(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', items: value.map(toTree) }
  if (typeof value === 'object' && value !== null)
    return { kind: 'object', entries: Object.entries(value).map(([key, inner]) => [key, toTree(inner)]) }
  return leaf(JSON.stringify(value))
}

const leaf = (text: string): Tree => ({ kind: 'leaf', text })

function toText(tree: Tree): string {
  if (tree.kind === 'leaf') return tree.text
  if (tree.kind === 'list') return `[${tree.items.map(toText).join(',')}]`
  return `{${tree.entries.map(([key, value]) => `${JSON.stringify(key)}:${toText(value)}`).join(',')}}`
}

/** Every value of a tree, by what puts another in its place. */
function places(tree: Tree, set: (other: Tree) => void): { tree: Tree; set: (other: Tree) => void }[] {
  const inner =
    tree.kind === 'list'
      ? tree.items.flatMap((item, i) => places(item, (other) => (tree.items[i] = other)))
      : tree.kind === 'object'
        ? tree.entries.flatMap((entry) => places(entry[1], (other) => (entry[1] = other)))
        : []
  return [{ tree, set }, ...inner]
}

function anyValue(random: Random): Tree {
  const nest = (depth: number, open: string, close: string) => leaf(open.repeat(depth) + close.repeat(depth))
  switch (random.integer(8)) {
    case 0:
      return leaf(one(random, ['null', 'true', 'false', 'NaN', '-']))
    case 1:
      return leaf(one(random, ['[]', '{}', '[[]]', '[null]', '{"__proto__":{"polluted":1}}']))
    case 2:
      return nest(one(random, [10, 200, 3000, 20_000]), '[', ']')
    case 3:
      return leaf(`${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`)
    case 4:
    case 5:
      return leaf(one(random, NUMBERS))
    default:
      return leaf(JSON.stringify(one(random, STRINGS)))
  }
}

/** Changes one value, key or list. */
function mutateTree(root: Tree, random: Random): Tree {
  let result = root
  const all = places(root, (other) => (result = other))
  const { tree, set } = one(random, all)
  if (tree.kind === 'object' && tree.entries.length && random.next() < 0.6) {
    const at = random.integer(tree.entries.length)
    const entry = tree.entries[at]!
    const action = random.integer(4)
    if (action === 0) tree.entries.splice(at, 1)
    else if (action === 1) entry[0] = random.next() < 0.5 ? one(random, STRINGS) : `${entry[0]}x`
    else if (action === 2) tree.entries.splice(at, 0, [entry[0], anyValue(random)])
    else
      tree.entries.push([
        one(random, STRINGS),
        random.next() < 0.5 ? one(random, all).tree : anyValue(random),
      ])
  } else if (tree.kind === 'list' && tree.items.length && random.next() < 0.6) {
    const at = random.integer(tree.items.length)
    const action = random.integer(4)
    if (action === 0) tree.items.splice(at, 1)
    else if (action === 1) tree.items.push(tree.items[at]!)
    else if (action === 2)
      tree.items.push(...Array.from({ length: one(random, [3, 50, 2000]) }, () => leaf('1')))
    else tree.items[at] = anyValue(random)
  } else if (tree.kind === 'leaf' && /^-?\d/.test(tree.text) && random.next() < 0.7) {
    set(leaf(random.next() < 0.5 ? one(random, NUMBERS) : String(Number(tree.text) + random.integer(7) - 3)))
  } else set(random.next() < 0.3 ? one(random, all).tree : anyValue(random))
  return tooLarge(result) ? root : result
}

/** A value that was put into itself, or grows again and again. */
function tooLarge(tree: Tree, depth = 0): boolean {
  if (depth > 60) return true
  if (tree.kind === 'leaf') return false
  const inner = tree.kind === 'list' ? tree.items : tree.entries.map(([, value]) => value)
  return inner.some((value) => tooLarge(value, depth + 1))
}

/** How many changes an input has: mostly few, so that it comes far before it is refused. */
function times(random: Random): number {
  let count = 1
  while (count < 6 && random.next() < 0.35) count++
  return count
}

function jsonText(text: string, random: Random): string {
  const root = toTree(JSON.parse(text))
  if (random.next() < 0.3) return spoil(text, random)
  let tree = root
  // A change may put a value below itself: what comes of it is asked for before it is kept.
  for (let left = times(random); left; left--) {
    const next = mutateTree(structuredClone(tree), random)
    if (!tooLarge(next)) tree = next
  }
  return toText(tree)
}

const MARKS =
  `{ } [ ] , : " ' - # & * ! | > % @ ? \\ / = ~ <<: &a *a !!binary !!js --- ... "" \\u0000 0x1F 1_000 .inf .nan
  yes ~ \ud83d NaN __proto__`.split(/\s+/)

/** A text as a person or a broken disk spoils it. */
function spoil(text: string, random: Random): string {
  for (let left = times(random); left; left--) {
    const at = random.integer(text.length + 1)
    const end = Math.min(text.length, at + 1 + random.integer(random.next() < 0.7 ? 8 : 200))
    switch (random.integer(8)) {
      case 0:
        text = text.slice(0, at)
        break
      case 1:
        text = text.slice(0, at) + text.slice(end)
        break
      case 2:
        text = text.slice(0, at) + text.slice(at, end).repeat(one(random, [2, 3, 100])) + text.slice(end)
        break
      case 3:
        text = text.slice(0, at) + one(random, MARKS) + text.slice(at)
        break
      case 4:
        text = text.slice(0, at) + one(random, STRINGS) + text.slice(end)
        break
      case 5:
        text = text.slice(0, at) + text.slice(at).replace(/\d+/, () => one(random, NUMBERS))
        break
      case 6:
        text =
          text.slice(0, at) +
          one(random, ['\n', '\t', '\r', '\0', '  ', '\n\n', '\u2028', '\v']) +
          text.slice(at)
        break
      default:
        text =
          text.slice(0, at) +
          one(random, ['[', '{', '- ', '(']).repeat(one(random, [3, 100, 5000])) +
          text.slice(at)
    }
  }
  return text
}

/** Bits, words, ranges of a file. */
export const bytes: Mutate = (seed, random) => {
  let out = Buffer.from(seed)
  for (let left = times(random); left; left--) {
    const at = random.integer(Math.max(1, out.length))
    // Headers come first.
    const early = random.integer(Math.max(1, Math.min(out.length, 64)))
    switch (random.integer(8)) {
      case 0:
        if (out.length) out[at]! ^= 1 << random.integer(8)
        break
      case 1:
        if (out.length) out[early] = random.integer(256)
        break
      case 2:
        out = out.subarray(0, at)
        break
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1 + random.integer(16))])
        break
      case 4:
        out = Buffer.concat([out, Buffer.alloc(1 + random.integer(64), random.integer(256))])
        break
      case 5: {
        const place = 4 * Math.floor((random.next() < 0.6 ? early : at) / 4)
        if (place + 4 <= out.length) out.writeInt32LE(Number(one(random, NUMBERS)) | 0, place)
        break
      }
      case 6:
        out.copy(out, at, early, early + random.integer(32))
        break
      default:
        if (early + 8 <= out.length)
          out.writeBigInt64LE(BigInt.asIntN(64, BigInt(one(random, [-1, 2 ** 31, 2 ** 53, 7]))), early)
    }
    out = Buffer.from(out)
  }
  return out
}

const utf8 = (change: (text: string, random: Random) => string): Mutate => {
  return (seed, random) =>
    random.next() < 0.1
      ? bytes(seed, random)
      : Buffer.from(change(Buffer.from(seed).toString('utf8'), random))
}

export const text = utf8(spoil)
export const json = utf8(jsonText)

/** YAML of a JSON seed: by its values, or as a text. */
export const yaml = json

/** One line of many, or their order. */
export const jsonLines = utf8((whole, random) => {
  if (random.next() < 0.2) return spoil(whole, random)
  const lines = whole.split('\n')
  const at = random.integer(Math.max(1, lines.length - 1))
  if (random.next() < 0.1) lines.splice(at, 1)
  else if (random.next() < 0.1) lines.splice(at, 0, lines[random.integer(lines.length)]!)
  else if (lines[at]) lines[at] = jsonText(lines[at], random)
  return lines.join('\n')
})

/** The packed bytes, or what was packed. */
export const gzip = (inner: Mutate): Mutate => {
  return (seed, random) =>
    random.next() < 0.5 ? bytes(seed, random) : gzipSync(inner(gunzipSync(seed), random), { level: 1 })
}

/** A header of JSON behind its length, and data: the length is right again after most changes. */
export const safetensors: Mutate = (seed, random) => {
  if (random.next() < 0.3) return bytes(seed, random)
  const buffer = Buffer.from(seed)
  const length = Number(buffer.readBigUInt64LE(0))
  const header = Buffer.from(jsonText(buffer.subarray(8, 8 + length).toString('utf8'), random))
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([head, header, buffer.subarray(8 + length)])
}
