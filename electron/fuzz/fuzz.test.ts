import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fuzz } from './harness'
import { readers } from './readers'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-fuzz-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Few inputs each, the slow readers fewest; `npm run fuzz` gives them more. */
describe('whatever a reader is given, it is read or refused in our words', () => {
  it.each(readers)('$name', async (reader) => {
    const { inputs, read, refused, faults } = await fuzz(reader, folder)
    expect(faults.slice(0, 3).map(({ input, why }) => `input ${input}: ${why}`)).toEqual([])
    expect([inputs, read + refused]).toEqual([reader.quick, reader.quick])
    // An input that is let in shows that the others came far.
    expect(read).toBeGreaterThanOrEqual(reader.seeds.length)
  })
})
