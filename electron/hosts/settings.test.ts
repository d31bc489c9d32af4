import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFurnished, type Furnished } from './testing'

let furnished: Furnished
beforeAll(async () => {
  furnished = await openFurnished({ bytes: 10_000, sums: false })
})
afterAll(() => furnished.close())

describe('settings that no machine could follow', () => {
  it.each([{ threads: 1e9 }, { threads: 1025 }, { concurrency: 1e6 }])(
    '%o are refused and not kept',
    async (change) => {
      const { services } = furnished
      const before = await services.call('settings.get', {})
      const [field] = Object.keys(change)
      await expect(services.call('settings.set', change)).rejects.toThrow(
        new RegExp(`^(settings\\.set: )?${field}: expected at most \\d+$`),
      )
      expect(await services.call('settings.get', {})).toEqual(before)
    },
  )
})
