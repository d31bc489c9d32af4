import { createRandom } from '../../random'

const ROUNDS = 4

/**
 * A seeded order of the numbers below `count` that needs no memory: a Feistel network over the least even number of bits
 * that holds them, walked on where it leads outside.
 */
export function permutation(count: number, seed: number, stream: string): (place: number) => number {
  let half = 1
  while (2 ** (2 * half) < count) half++
  const mask = 2 ** half - 1
  const random = createRandom(seed, stream)
  const keys = Array.from({ length: ROUNDS }, () => Math.floor(random.next() * 2 ** 32))
  const once = (value: number) => {
    let [left, right] = [Math.floor(value / 2 ** half), value & mask]
    for (const key of keys) [left, right] = [right, left ^ (mixed(right ^ key) & mask)]
    return left * 2 ** half + right
  }
  return (place) => {
    let value = once(place)
    while (value >= count) value = once(value)
    return value
  }
}

/** Spreads a word's bits over it. */
function mixed(value: number): number {
  let word = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  word = Math.imul(word ^ (word >>> 15), 0x846ca68b)
  return (word ^ (word >>> 16)) >>> 0
}
