/**
 * Classes of disagreement, by the share of log K that D reaches. Most tokens are easy and all teachers say the same of
 * them, so the classes are narrow at the bottom.
 */
const SHARES = [0.02, 0.1, 0.25, 0.5] as const

/** 0 (teachers say the same) to 4. */
export function levelOf(disagreement: number, teachers: number): number {
  const share = disagreement / Math.log(teachers)
  return SHARES.filter((limit) => share >= limit).length
}

/** What each class holds, in nats. */
export function levelRanges(teachers: number): string[] {
  const most = Math.log(teachers)
  const limits = [0, ...SHARES.map((share) => share * most), most].map((limit) =>
    Number(limit.toPrecision(2)),
  )
  return limits.slice(1).map((limit, i) => `${limits[i]}–${limit}`)
}

/** A piece of text with its white space made visible; special tokens have none. */
export function visible(piece: string | undefined): string {
  if (!piece) return '⟨special⟩'
  return piece.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥').replaceAll('\r', '␍')
}
