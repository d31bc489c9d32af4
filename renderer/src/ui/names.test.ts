import { describe, expect, it } from 'vitest'
import { shortNames, splitName } from './names'

describe('names side by side', () => {
  it('show what differs, and nothing that all of them say', () => {
    expect(
      shortNames([
        'both: tau=1, lambda=0.2, seed=1',
        'both: tau=2, lambda=0.2, seed=1',
        'both: tau=2, lambda=0.8, seed=1',
      ]),
    ).toEqual(['tau=1, lambda=0.2', 'tau=2, lambda=0.2', 'tau=2, lambda=0.8'])
    expect(shortNames(['second weighting: strategy=random', 'second weighting: strategy=oracle'])).toEqual([
      'strategy=random',
      'strategy=oracle',
    ])
    expect(shortNames(['a: x=1, seed=1', 'b: x=1, seed=1'])).toEqual(['a', 'b'])
  })

  it('stay whole where nothing would be left of one, where there is one, and where they share no part', () => {
    for (const names of [
      ['same: x=1', 'same: x=1'],
      ['alone: x=1'],
      ['small', 'small-2'],
      ['same', 'same'],
      [],
    ])
      expect(shortNames(names)).toEqual(names)
  })
})

describe('a name that has no room', () => {
  it('is cut before its end', () => {
    expect(splitName('second weighting: strategy=random, seed=12')).toEqual([
      'second weighting: strategy',
      '=random, seed=12',
    ])
    expect(splitName('cook')).toEqual(['co', 'ok'])
    expect(splitName('a')).toEqual(['a', ''])
  })
})
