import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'grid' })

test('a report has the title, sections and baseline that were chosen, and is saved in other formats from its page', async ({
  app,
}) => {
  await rail(app, 'Runs').click()
  for (const tau of [1, 2])
    await app.getByRole('checkbox', { name: `Select both: tau=${tau}, lambda=0.2`, exact: false }).click()
  await app.getByRole('button', { name: 'Report', ...exact }).click()
  const dialog = app.getByRole('dialog', { name: 'Report' })
  await dialog.getByLabel('Title').fill('Two temperatures')
  await dialog.getByRole('combobox', { name: 'Baseline' }).click()
  await app.getByRole('option', { name: /tau=2/ }).click()
  for (const section of ['The paper’s figures', 'Curves']) await dialog.getByLabel(section, exact).click()
  await dialog.getByRole('button', { name: 'Write report' }).click()
  await expect(app.getByRole('heading', { level: 1, name: 'Two temperatures' })).toBeVisible()
  const report = app.frameLocator('iframe')
  await expect(report.getByRole('heading', { name: /^Differences to both: tau=2/ })).toBeVisible()
  await expect(report.getByRole('heading', { name: 'Held-out metrics' })).toBeVisible()
  await expect(report.getByRole('heading', { name: 'Curves' })).toBeHidden()

  const csv = await saved(app, 'CSV, one tidy table')
  expect(csv).toMatch(/^table,row,column,unit,value\n/)
  expect(csv).toContain('Held-out metrics')
  expect(csv).not.toContain('paper')
  expect(await saved(app, 'Markdown')).toMatch(/^# Two temperatures\n/)
  expect(await saved(app, 'LaTeX tables and figures')).toContain('\\toprule')
  expect(await saved(app, 'LaTeX document')).toContain('\\documentclass')
  expect(JSON.parse(await saved(app, 'JSON, everything'))).toMatchObject({ title: 'Two temperatures' })

  // Printed is the report alone, as what it is shown in.
  const printed = `new Promise((resolve) => {
    const { contentWindow } = document.querySelector('iframe')
    contentWindow.print = () => resolve(contentWindow.document.title)
  })`
  const title = app.evaluate(printed)
  await app.getByRole('button', { name: 'Save', ...exact }).click()
  await app.getByRole('menuitem', { name: 'Print, or PDF' }).click()
  expect(await title).toBe('Two temperatures')
})

async function saved(app: Page, format: string): Promise<string> {
  await app.getByRole('button', { name: 'Save', ...exact }).click()
  const download = app.waitForEvent('download')
  await app.getByRole('menuitem', { name: format }).click()
  return readFileSync(await (await download).path(), 'utf8')
}

test.describe('with two teachers', () => {
  test.use({ library: 'pair' })

  test('a study of one’s own says what it asks, is refused by its field, and ends in a report', async ({
    app,
  }) => {
    await rail(app, 'Reports').click()
    await app.getByRole('button', { name: 'Study', exact: true }).click()
    const dialog = app.getByRole('dialog', { name: 'Study' })
    await dialog.getByRole('combobox', { name: 'Study' }).click()
    await app.getByRole('option', { name: 'One of my own' }).click()
    const start = dialog.getByRole('button', { name: 'Start study' })
    await expect(start).toBeDisabled()
    const study = (other: string) => `name: mine
description: Surer teachers weigh more
corpora: []
teachers: []
base:
  corpus: recipes
  teachers: [cook, sure cook]
  student: { width: 16, layers: 1, heads: 2, context: 24 }
  train: { steps: 4, batch: 4, context: 24, learningRate: 0.003, warmup: 1 }
  evaluate: { every: 0, tokens: 300 }
runs: [{ name: entropy }, { name: uniform, set: { weighting.strategy: uniform } }]
seeds: [1, 2]
questions: [{ ask: Does it help?, compare: [[entropy, ${other}]] }]
`
    const yaml = dialog.getByRole('textbox', { name: 'YAML' })
    await yaml.fill(study('even'))
    await expect(dialog.getByText(/questions\.0\.compare: .*"even".*entropy, uniform/)).toBeVisible()
    await yaml.fill(study('uniform'))
    await expect(dialog.getByText('0 teachers, 4 runs, 0 of them done here')).toBeVisible()
    await expect(dialog.getByRole('listitem')).toHaveText('Does it help?')
    await start.click()
    await expect(dialog).toBeHidden()
    await app.getByRole('link', { name: 'mine' }).click({ timeout: 90_000 })
    await expect(app.frameLocator('iframe').getByText('Does it help?').first()).toBeVisible()
  })
})
