import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { badInput, failed } from '#contract'
import { browserArguments, installedBrowser } from './browser'

const PATIENCE_MS = 60_000

/**
 * Prints a self-contained page to PDF with the Chrome, Chromium or Edge of this machine, or the one that CHROME_PATH
 * names.
 *
 * @throws bad-input when there is none, failed when it does not print
 */
export async function printPdf(html: string): Promise<Uint8Array> {
  const browser = installedBrowser()
  if (!browser) {
    throw badInput('a pdf needs Chrome, Chromium or Edge, and none was found', {
      field: 'format',
      expected: 'one of them on PATH or in CHROME_PATH; or the html report, printed by hand',
    })
  }
  const folder = mkdtempSync(join(tmpdir(), 'retort-print-'))
  const [page, pdf] = [join(folder, 'report.html'), join(folder, 'report.pdf')]
  try {
    writeFileSync(page, html)
    const options = [
      '--headless',
      '--disable-gpu',
      '--no-pdf-header-footer',
      `--user-data-dir=${join(folder, 'profile')}`,
      `--print-to-pdf=${pdf}`,
      ...browserArguments,
    ]
    await promisify(execFile)(browser, [...options, pathToFileURL(page).href], { timeout: PATIENCE_MS })
    return readFileSync(pdf)
  } catch (error) {
    throw failed(`${browser} did not print the report: ${(error as Error).message.split('\n')[0]}`, error)
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
