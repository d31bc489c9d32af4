import { afterEach, expect, it, vi } from 'vitest'
import { printPdf } from './pdf'

afterEach(() => vi.unstubAllEnvs())

it('prints with the browser that is there, or says that there is none', async () => {
  try {
    const pdf = await printPdf('<!doctype html><title>Report</title><p>Printed.')
    expect(Buffer.from(pdf).toString('latin1', 0, 5)).toBe('%PDF-')
  } catch (error) {
    if (!/none was found/.test(String(error))) throw error
    console.warn('SKIPPED: printing needs Chrome, Chromium or Edge')
  }
})

it('says when a browser does not print', async () => {
  vi.stubEnv('CHROME_PATH', process.execPath)
  await expect(printPdf('')).rejects.toThrow(/did not print/)
})
