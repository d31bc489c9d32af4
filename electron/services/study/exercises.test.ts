import { expect, it } from 'vitest'
import { exerciseLines, exercises } from './exercises'

const read = (exercise: (typeof exercises)[number], count: number) =>
  exerciseLines(exercise, count)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { prompt: string; completion: string })

it('exercises are right, none is asked twice, and the same are asked again', () => {
  const lettersOf = (prompt: string) => prompt.slice(prompt.indexOf(':') + 2, -2).split(' ')
  for (const exercise of exercises) {
    const lines = read(exercise, 200)
    expect(new Set(lines.map(({ prompt }) => prompt)).size).toBe(200)
    expect(read(exercise, 200)).toEqual(lines)
    for (const { prompt, completion } of lines) {
      const [a, b, c, d, e] = lettersOf(prompt)
      const said = completion.split(' ')
      expect(prompt).toBe(`${exercise}: ${a} ${b} ${c} ${d} ${e} =`)
      if (exercise === 'reverse') expect(said).toEqual([e, d, c, b, a])
      if (exercise === 'rotate') expect(said).toEqual([b, c, d, e, a])
      if (exercise === 'twice') expect(said).toEqual([a, a, b, b, c, c])
      if (exercise === 'sort')
        for (const [i, letter] of said.entries()) expect(letter >= (said[i - 1] ?? '')).toBe(true)
      if (exercise === 'next') {
        const after = { a: 'b', b: 'c', c: 'd', d: 'e', e: 'f', f: 'g', g: 'h', h: 'a' }
        expect(said).toEqual(lettersOf(prompt).map((letter) => after[letter as 'a']))
      }
      if (exercise !== 'twice' && exercise !== 'next')
        expect([...said].sort()).toEqual(lettersOf(prompt).sort())
    }
  }
})
