import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, innerText, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'empty' })

test('the first page leads from a text to a distilled student by clicks, and ticks off what is done', async ({
  app,
  host,
}) => {
  // Before the devices are known, which takes seconds.
  const way = app.getByRole('region', { name: 'With your own text' })
  await expect(way).toBeVisible()
  await expect(way.getByText(': done')).toHaveCount(0)
  await expect(app.getByRole('region', { name: 'With your own models' })).toBeVisible()
  const texts = join(host.home, 'library', 'texts')
  mkdirSync(texts, { recursive: true })
  const text = join(texts, 'tales.txt')
  writeFileSync(
    text,
    Array.from({ length: 900 }, (_, i) => `Tale ${i}: a fox met ${i % 7} hens.`).join('\n\n'),
  )

  await way.getByRole('link', { name: 'Import text' }).click()
  await app.getByRole('button', { name: 'Browse' }).click()
  const browser = app.getByRole('dialog', { name: 'Browse' })
  await expect(browser.getByText('is outside')).toHaveCount(0)
  await browser.getByRole('button', { name: 'library' }).click()
  await browser.getByRole('button', { name: 'texts' }).click()
  await browser.getByRole('textbox', { name: 'Filter files' }).fill('tale')
  await browser.getByRole('button', { name: /tales\.txt/ }).click()
  await expect(browser).toBeHidden()
  await expect(app.getByRole('textbox', { name: 'Path' })).toHaveValue(realpathSync(text))
  await app.getByRole('button', { name: 'Import corpus' }).click()
  await expect(app.getByRole('row', { name: /tales/ })).toBeVisible()

  await rail(app, 'Experiments').click()
  await expect(way.getByText('Import text: done')).toBeVisible()
  await way.getByRole('link', { name: 'Train a tokenizer' }).click()
  const tokenizers = app.getByRole('dialog', { name: 'Tokenizers' })
  await tokenizers.getByRole('spinbutton').fill('270')
  await tokenizers.getByRole('button', { name: 'Train tokenizer' }).click()
  await expect(tokenizers.getByRole('row', { name: /270/ })).toBeVisible()
  await app.keyboard.press('Escape')

  await rail(app, 'Experiments').click()
  await way.getByRole('link', { name: 'Train a teacher' }).click()
  const training = app.getByRole('dialog', { name: 'Train a teacher' })
  await expect(training.getByRole('textbox', { name: 'Name' })).toHaveValue('tales-teacher')
  await expect(training.getByLabel('Estimate')).toBeVisible()
  const set = async (label: string, value: string) => {
    await training.getByLabel(label, exact).fill(value)
    await training.getByLabel(label, exact).press('Tab')
  }
  await set('Width', '25')
  const wrong = training.getByRole('list', { name: 'What is wrong' })
  await expect(wrong).toContainText('6 heads do not divide the width 25')
  await expect(training.getByRole('button', { name: 'Train teacher' })).toBeDisabled()
  await set('Width', '24')
  await set('Heads', '2')
  await set('Layers', '1')
  await set('Steps', '20')
  await set('Batch', '4')
  await set('Sequence length', '32')
  await training.getByRole('button', { name: 'Train teacher' }).click()
  await expect(app.getByText('completed', exact)).toBeVisible()

  await rail(app, 'Experiments').click()
  await way.getByRole('button', { name: 'Make an experiment' }).click()
  await expect(app.getByLabel('YAML')).toHaveText(/^name: tales-teacher-on-tales\n/, innerText)
  await app.getByLabel('Steps', exact).fill('10')
  await app.getByLabel('Steps', exact).press('Tab')
  await app.getByRole('button', { name: 'Save', ...exact }).click()
  await rail(app, 'Experiments').click()
  await way.getByRole('link', { name: 'Run it' }).click()
  await expect(app.getByLabel('Estimate')).toBeVisible()
  await app.getByRole('button', { name: 'Run', ...exact }).click()
  await expect(app.getByText('completed', exact)).toBeVisible()
  // There is a student: the first page is a list of experiments now.
  await rail(app, 'Experiments').click()
  await expect(app.getByRole('link', { name: 'tales-teacher-on-tales' })).toBeVisible()
  await expect(way).toBeHidden()
})

test('every empty list has its first step as a button, and a dialog has an address', async ({ app }) => {
  const steps: [page: string, button: string, role: 'button' | 'link'][] = [
    ['Teachers', 'Import a teacher', 'button'],
    ['Corpora', 'Import text', 'button'],
    ['Grids', 'Choose an experiment', 'link'],
    ['Queue', 'Experiments', 'link'],
    ['Compare', 'Choose runs', 'link'],
    ['Playground', 'Teachers', 'link'],
    ['Reports', 'Choose runs', 'link'],
  ]
  const body = app.getByRole('main')
  for (const [page, name, role] of steps) {
    await rail(app, page).click()
    await expect(app.getByRole('heading', { level: 1, name: page })).toBeVisible()
    await expect(body.getByRole(role, { name })).toBeVisible()
  }
  await rail(app, 'Corpora').click()
  await body.getByRole('button', { name: 'Import text' }).click()
  const dialog = app.getByRole('dialog', { name: 'Import a corpus' })
  await expect(dialog).toBeVisible()
  await app.reload()
  await expect(dialog).toBeVisible()
  await app.keyboard.press('Escape')
  await expect(dialog).toBeHidden()
  await app.reload()
  await expect(body.getByRole('button', { name: 'Import text' })).toBeVisible()
  await expect(dialog).toBeHidden()
})
