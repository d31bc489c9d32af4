/**
 * Seeded random numbers: sfc32 (Chris Doty-Humphrey's Small Fast Counter, public domain), seeded by hashing a seed
 * with the name of the stream, so that every use draws from a stream of its own and none disturbs another.
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number
  /** Uniform integer in [0, n). */
  integer(n: number): number
  /** Standard normal (Box-Muller). */
  normal(): number
}

export function createRandom(seed: number, stream: string): Random {
  let [a, b, c] = hash(`${seed}/${stream}`)
  let d = 1
  let spare: number | undefined

  function bits(): number {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 15; i++) bits()

  const next = () => bits() / 4294967296
  return {
    next,
    integer: (n) => Math.floor(next() * n),
    normal() {
      if (spare !== undefined) {
        const value = spare
        spare = undefined
        return value
      }
      const radius = Math.sqrt(-2 * Math.log(1 - next()))
      const angle = 2 * Math.PI * next()
      spare = radius * Math.sin(angle)
      return radius * Math.cos(angle)
    },
  }
}

/** Three words from a string: FNV-1a with three offsets and a final mix. */
function hash(text: string): [number, number, number] {
  const words = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b].map((offset) => {
    let h = offset
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
    return (h ^ (h >>> 15)) | 0
  })
  return words as [number, number, number]
}
