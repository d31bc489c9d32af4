import { describe, expect, it } from 'vitest'
import { strokesOf } from './palette'

const things = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({
    id: `run-${from + i}`,
    createdAt: `2026-01-01T00:00:${String(from + i).padStart(2, '0')}.000Z`,
  }))
const key = ({ color, dash }: { color: string; dash: readonly number[] }) => `${color} ${dash.join()}`

describe('colours go by thing', () => {
  it('in whatever order the things come, and with younger ones beside them', () => {
    const all = things(12)
    const strokes = strokesOf(all)
    expect(strokesOf([...all].reverse())).toEqual(strokes)
    for (const count of [1, 3, 7]) {
      for (const [id, stroke] of strokesOf(all.slice(0, count))) expect(strokes.get(id)).toEqual(stroke)
    }
  })

  it('mostly whatever is left out: a thing alone has its own colour', () => {
    // FNV-1a of "a" is e40c292c = 3826002220, which is 5 mod 7: the sixth colour.
    expect(strokesOf([{ id: 'a', createdAt: '' }]).get('a')).toEqual({ color: '#0072B2', dash: [4, 2] })
  })

  it('differ in colour and dash up to seven, and as a pair up to 49', () => {
    const seven = [...strokesOf(things(7)).values()]
    expect(new Set(seven.map(({ color }) => color)).size).toBe(7)
    expect(new Set(seven.map(({ dash }) => dash.join())).size).toBe(7)
    expect(new Set([...strokesOf(things(49)).values()].map(key)).size).toBe(49)
  })
})
