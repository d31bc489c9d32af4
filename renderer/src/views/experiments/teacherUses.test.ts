import { expect, it } from 'vitest'
import { usesIn, usesOf, writtenUses } from './teacherUses'

const small = { name: 'cook', precision: 'int8' as const }

it('keeps a teacher’s precision when others come and go', () => {
  const both = usesOf(['cook', 'baker'], usesIn([small]))
  expect(writtenUses(both)).toEqual([small, 'baker'])
  expect(writtenUses(usesOf(['baker'], both))).toEqual(['baker'])
})

it('writes one in f32 as its name alone, and takes nothing for no teachers', () => {
  expect(writtenUses(usesIn([{ name: 'cook', precision: 'f32' }, 'baker']))).toEqual(['cook', 'baker'])
  expect(usesIn(undefined)).toEqual([])
  expect(usesIn([3, null, { weight: 1 }])).toEqual([])
})
