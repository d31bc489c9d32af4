import { expect, it } from 'vitest'
import { settings, settingsChange } from './settings'

it('a change of some settings says nothing of the others', () => {
  expect(settingsChange.parse({ colorMode: 'dark' })).toEqual({ colorMode: 'dark' })
  const before = { ...settings.parse({}), concurrency: 3, runColumns: ['loss.lambda'] }
  expect({ ...before, ...settingsChange.parse({ queuePaused: true }) }).toEqual({
    ...before,
    queuePaused: true,
  })
  expect(() => settingsChange.parse({ concurrency: 0 })).toThrow()
  expect(() => settingsChange.parse({ colour: 'dark' })).toThrow()
})
