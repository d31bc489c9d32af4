import { describe, expect, it } from 'vitest'
import { createRandom } from '../../files'
import { promotions, rungsOf, type Competitor } from './halving'

describe('rungs', () => {
  it('go up by the factor and stay below the whole run', () => {
    expect(rungsOf({ metric: 'crossEntropy', minSteps: 10, reduction: 3 }, 100)).toEqual([10, 30, 90])
    expect(rungsOf({ metric: 'crossEntropy', minSteps: 10, reduction: 3 }, 90)).toEqual([10, 30])
    expect(rungsOf({ metric: 'crossEntropy', minSteps: 10, reduction: 2 }, 10)).toEqual([])
  })
})

/** Plays a grid with one worker: promoted ones first, then the next of the grid. */
function play(values: number[], rungs: number, reduction: number, lower = true) {
  const competitors = values.map((_, i): Competitor => ({ key: String(i), allowed: 0, scores: [] }))
  const work: string[] = []
  const run = (one: Competitor) => {
    work.push(one.key)
    if (one.allowed < rungs) one.scores.push(values[Number(one.key)]!)
  }
  for (;;) {
    const [next] = promotions(competitors, rungs, reduction, lower)
    const fresh = competitors.find(({ key }) => !work.includes(key))
    if (next) next.allowed++
    else if (!fresh) break
    run(next ?? fresh!)
  }
  return { finished: competitors.filter(({ allowed }) => allowed === rungs).map(({ key }) => key), work }
}

describe('successive halving', () => {
  it('brings the best to the end, whatever the order, and most of the others only to the first rung', () => {
    const random = createRandom(1, 'halving')
    for (let round = 0; round < 50; round++) {
      const values = Array.from({ length: 27 }, () => random.next())
      const { finished, work } = play(values, 2, 3)
      expect(finished).toContain(String(values.indexOf(Math.min(...values))))
      // ASHA promotes a few that later come to be beaten; a good third less work than everything to the end, 81.
      expect(work.length).toBeLessThan(54)
      expect(work.length).toBeGreaterThanOrEqual(27 + 9 + 3)
    }
  })

  it('promotes as the rung fills, before everybody is there', () => {
    const at = (key: string, ...scores: number[]): Competitor => ({ key, allowed: 0, scores })
    const waiting = at('d')
    expect(promotions([at('a', 3), at('b', 2), waiting], 1, 3)).toEqual([])
    expect(promotions([at('a', 3), at('b', 2), at('c', 1), waiting], 1, 3).map(({ key }) => key)).toEqual([
      'c',
    ])
    expect(promotions([at('a', 3), at('b', 2), at('c', 1), waiting], 1, 3, false)[0]!.key).toBe('a')
  })

  it('lets one go on where there are fewer than the factor, but none that has failed', () => {
    expect(play([2, 1], 2, 3).finished).toEqual(['1'])
    expect(play([2, Infinity], 1, 3).finished).toEqual(['0'])
    expect(play([Infinity, Infinity], 1, 3).finished).toEqual([])
    expect(play([Infinity, 5], 1, 3, false).finished).toEqual(['1'])
  })

  it('of equal ones takes the first of the grid', () => {
    expect(play([1, 1, 1], 1, 3).finished).toEqual(['0'])
  })
})
