import { readFileSync } from 'node:fs'
import { expect, innerText, rail, test } from './fixtures'

const exact = { exact: true } as const

test.use({ library: 'grid' })

test('a grid’s results are looked at over any two axes, down to the runs, and saved as files', async ({
  app,
}) => {
  await rail(app, 'Grids').click()
  await app.getByRole('link', { name: 'both', ...exact }).click()
  const heatmap = app.getByRole('table', { name: 'Heatmap' })
  await expect(heatmap.getByRole('button')).toHaveCount(4)
  await expect(heatmap.getByRole('columnheader', { name: '0.8' })).toBeVisible()
  await app.getByRole('combobox', { name: 'Rows of the heatmap' }).click()
  await app.getByRole('option', { name: 'loss.lambda' }).click()
  await expect(heatmap.getByRole('rowheader', { name: '0.8' })).toBeVisible()

  await app.getByRole('button', { name: 'Only loss.tau 2' }).press('Enter')
  const settings = app.getByRole('table', { name: 'Settings' })
  await expect(settings.getByRole('row')).toHaveCount(3)
  await app.getByRole('button', { name: 'Choose all settings again' }).click()
  await expect(settings.getByRole('row')).toHaveCount(5)

  const exported = app.getByRole('button', { name: 'Export' })
  const save = async (choose: () => Promise<void>) => {
    const download = app.waitForEvent('download')
    await exported.click()
    await choose()
    const file = await download
    return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) }
  }
  const csv = await save(() => app.getByRole('menuitem', { name: 'CSV' }).click())
  expect(csv.name).toBe('both.csv')
  expect(csv.bytes.toString()).toMatch(/^grid,loss\.tau,loss\.lambda,seed,status,run,metric,value\n/)
  const png = await save(async () => {
    await app.getByRole('menuitem', { name: 'Heatmap' }).press('ArrowRight')
    await app.getByRole('menuitem', { name: 'PNG' }).press('Enter')
  })
  expect(png.name).toBe('both-heatmap.png')
  expect(png.bytes.subarray(1, 4).toString()).toBe('PNG')

  await app.getByRole('button', { name: /^loss\.tau=1, loss\.lambda=0\.2: open/ }).press('Enter')
  await expect(app).toHaveURL(/\/runs\//)
  await expect(app.getByRole('heading', { level: 1 })).toContainText('both')
  await expect(app.getByText('4/4')).toBeVisible()
})

test('the queue is put in another order by keyboard, and goes on where it was paused', async ({ app }) => {
  await rail(app, 'Queue').click()
  const waiting = app.getByRole('region', { name: 'Waiting' })
  const order = () => waiting.getByRole('link').allTextContents()
  await expect(waiting.getByRole('link')).toHaveCount(3)
  expect(await order()).toEqual(['first', 'second', 'third'])
  await waiting.getByRole('button', { name: /^Move third/ }).focus()
  await app.keyboard.press('ArrowUp')
  await expect(waiting.getByText('third moved to place 2 of 3')).toBeAttached()
  await expect(waiting.getByRole('button', { name: /^Move third/ })).toBeFocused()
  await app.keyboard.press('Home')
  await expect.poll(order).toEqual(['third', 'first', 'second'])
  const handle = (name: RegExp) => waiting.getByRole('button', { name })
  await handle(/^Move second/).dragTo(handle(/^Move first/))
  await expect.poll(order).toEqual(['third', 'second', 'first'])
  await waiting.getByRole('spinbutton', { name: 'Priority of first' }).fill('5')
  await waiting.getByRole('spinbutton', { name: 'Priority of first' }).press('Tab')
  await expect.poll(order).toEqual(['first', 'third', 'second'])
  await app.getByRole('button', { name: 'Take third out of the queue' }).click()
  await app.getByRole('button', { name: 'Resume all' }).click()
  const working = app.getByRole('list', { name: 'At work' })
  await expect(working.getByRole('link', { name: 'first' })).toBeVisible()
  await app.getByRole('button', { name: 'Pause all' }).click()
  await expect(working.getByText('paused', exact)).toBeVisible()
  expect(await order()).toEqual(['second'])
})

test('a cluster’s profile is checked field by field, kept, tried and chosen', async ({ app, host }) => {
  await rail(app, 'Settings').click()
  await app.getByRole('button', { name: 'Add cluster' }).click()
  const form = app.getByRole('dialog', { name: 'Add a cluster' })
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form.getByText('has to be given')).toHaveCount(2)
  await form.getByLabel('Name', exact).fill('lab')
  await form.getByLabel('Data directory').fill('relative')
  await form.getByLabel('Memory').fill('lots')
  await form.getByLabel('Memory').press('Tab')
  await expect(form.getByText('the path is absolute, as the cluster sees it')).toBeVisible()
  await expect(form.getByText('memory is a number and K, M, G or T')).toBeVisible()
  await form.getByLabel('Data directory').fill(host.dataDir)
  await form.getByLabel('Memory').fill('4G')
  await form.getByLabel('Memory').press('Tab')
  await expect(form.getByLabel('YAML')).toHaveText(/^name: lab\n.*memory: 4G\s*$/s, innerText)
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form).toBeHidden()
  await expect(app.getByRole('table', { name: 'Cluster profiles' }).getByText('4G')).toBeVisible()
  await app.getByRole('button', { name: 'Test lab' }).click()
  await expect(app.getByRole('list', { name: 'Test of lab' })).toContainText('data directory')

  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  await app.getByRole('button', { name: 'Ablation' }).click()
  await app.getByRole('menuitem', { name: 'Distillation temperature' }).click()
  const dialog = app.getByRole('dialog', { name: 'Ablation: Distillation temperature' })
  await dialog.getByRole('combobox', { name: 'Computed on' }).click()
  await app.getByRole('option', { name: 'lab' }).click()
  await expect(dialog.getByText('lab will differ')).toBeVisible()
})

test.describe('from an experiment', () => {
  test.use({ library: 'small' })

  test('a grid of two axes is made of settings and values that are chosen on the page', async ({ app }) => {
    await app.getByRole('link', { name: 'small', ...exact }).click()
    await expect(app.getByLabel('YAML')).toHaveText(/corpus:/, innerText)
    await app.getByRole('button', { name: 'Ablation' }).click()
    await app.getByRole('menuitem', { name: 'Axes of your own' }).click()
    const dialog = app.getByRole('dialog', { name: 'Ablation: axes of your own' })
    const estimate = dialog.getByLabel('Estimate', exact)
    // Two weightings and three shares.
    await expect(estimate).toContainText('6; 1 at a time')
    await dialog.getByLabel('Setting 1').click()
    await app.getByRole('option', { name: 'Steps' }).click()
    await expect(dialog.getByText('numbers with commas between them')).toBeVisible()
    await expect(dialog.getByRole('button', { name: 'Start' })).toBeDisabled()
    await dialog.getByLabel('Values 1').fill('4, 8')
    await dialog.getByLabel('Values 2').fill('0.2, 1.5')
    await expect(dialog.getByText(/lambda.*expected at most 1/)).toBeVisible()
    await dialog.getByLabel('Values 2').fill('0.2, 0.8')
    await expect(estimate).toContainText('4; 1 at a time')
    await dialog.getByRole('button', { name: 'Start' }).click()
    await expect(app.getByRole('heading', { level: 1, name: 'small: steps × lambda' })).toBeVisible()
    await expect(app.getByRole('table', { name: 'Heatmap' })).toBeVisible({ timeout: 120_000 })
    const completed = app.getByRole('table').last().getByText('completed', exact)
    await expect(completed).toHaveCount(4, { timeout: 120_000 })
  })
})
