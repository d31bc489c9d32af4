import { expect, it } from 'vitest'
import { mixtureIn, mixtureOf, usedAs } from './mixture'

const chat = { name: 'chat', loss: 'assistant', packing: 'documents', template: 'chatml' } as const

it('keeps how a corpus is read when others come and go', () => {
  const both = mixtureOf(['chat', 'plays'], mixtureIn([chat]))
  expect(both).toEqual([chat, { name: 'plays' }])
  expect(mixtureOf(['chat'], mixtureIn(both))).toEqual([chat])
  expect(mixtureOf(['plays'], mixtureIn(both))).toBe('plays')
  expect(mixtureOf(['plays'], mixtureIn([{ name: 'plays', weight: 3 }]))).toEqual([
    { name: 'plays', weight: 3 },
  ])
})

it('takes one name alone for a mixture of one, and nothing for none', () => {
  expect(mixtureOf(['plays', 'chat'], mixtureIn('plays'))).toEqual([{ name: 'plays' }, { name: 'chat' }])
  expect(mixtureOf([], mixtureIn('plays'))).toEqual([])
  expect(mixtureIn(undefined)).toEqual([])
})

it('says how one of them is read, and no more than differs', () => {
  const both = [{ name: 'plays' }, chat]
  expect(usedAs(both, 'plays', { packing: 'documents' })).toEqual([
    { name: 'plays', packing: 'documents' },
    chat,
  ])
  expect(usedAs([{ name: 'plays', weight: 3 }], 'plays', { weight: undefined })).toBe('plays')
})
