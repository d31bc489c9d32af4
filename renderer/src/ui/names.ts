/** The characters at the end of a name that stay in sight where it has no room: there cells and copies differ. */
const TAIL = 16

/** A name in two parts, of which the first may be cut. */
export function splitName(name: string): [head: string, tail: string] {
  const letters = [...name]
  const at = Math.max(Math.ceil(letters.length / 2), letters.length - TAIL)
  return [letters.slice(0, at).join(''), letters.slice(at).join('')]
}

/**
 * Names without the parts that all of them begin and end with: `a: tau=1, seed=1` and `a: tau=2, seed=1` are `tau=1` and
 * `tau=2`. Parts end at a colon or a comma. As they are where that would leave nothing of one of them.
 */
export function shortNames(names: readonly string[]): string[] {
  const parts = names.map((name) => name.split(/(?<=[:,] )/))
  const [first, ...others] = parts
  if (!first || !others.length) return [...names]
  const most = Math.min(...parts.map(({ length }) => length))
  const bare = (part: string | undefined) => part?.replace(/[:,] $/, '')
  let head = 0
  while (head < most && others.every((other) => other[head] === first[head])) head++
  let tail = 0
  while (
    tail < most - head &&
    others.every((other) => bare(other.at(-1 - tail)) === bare(first.at(-1 - tail)))
  )
    tail++
  const short = parts.map((all) => bare(all.slice(head, all.length - tail).join(''))!)
  return short.every(Boolean) ? short : [...names]
}
