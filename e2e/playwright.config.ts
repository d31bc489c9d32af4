import { defineConfig } from '@playwright/test'
import { browserArguments, findBrowser } from './browser'

// Once, not in every worker: an installation may be needed.
process.env.RETORT_E2E_BROWSER ??= findBrowser() ?? ''

export default defineConfig({
  testDir: '.',
  outputDir: '../test-results/e2e',
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: [['list'], ['json', { outputFile: '../test-results/e2e.json' }]],
  use: {
    viewport: { width: 1280, height: 800 },
    trace: 'retain-on-failure',
    launchOptions: { executablePath: process.env.RETORT_E2E_BROWSER || undefined, args: browserArguments },
  },
})
