import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'grid' })

test('what is compared stands in the address: it survives a reload, opens from a link, and Back returns to it', async ({
  app,
  host,
}) => {
  await rail(app, 'Runs').click()
  for (const tau of [1, 2])
    await app.getByRole('checkbox', { name: `Select both: tau=${tau}, lambda=0.2`, exact: false }).click()
  await app.getByRole('button', { name: 'Compare', ...exact }).click()
  const table = app.getByRole('table', { name: 'Metrics' })
  await expect(table.getByRole('row')).toHaveCount(3)
  await app.getByRole('combobox', { name: 'Baseline' }).click()
  await app.getByRole('option', { name: /tau=2/ }).click()
  const pinned = table.getByRole('row', { name: /tau=2/ }).getByLabel('baseline')
  await expect(pinned).toBeVisible()
  await app.reload()
  await expect(table.getByRole('row')).toHaveCount(3)
  await expect(pinned).toBeVisible()

  const { hash } = new URL(app.url())
  expect(hash).toMatch(/^#\/compare\?runs=both-[\w-]+,both-[\w-]+&baseline=both-/)
  const linked = await app.context().newPage()
  await linked.goto(host.url)
  await expect(linked.getByRole('heading', { level: 1, name: 'Experiments' })).toBeVisible()
  await linked.goto(new URL(hash, host.url).href)
  await expect(linked.getByRole('table', { name: 'Metrics' }).getByLabel('baseline')).toBeVisible()
  await linked.close()

  await table.getByRole('link', { name: /tau=1/ }).click()
  await app.getByRole('tab', { name: 'Log' }).click()
  await app.reload()
  await expect(app.getByRole('tab', { name: 'Log', selected: true })).toBeVisible()
  await app.goBack()
  await expect(pinned).toBeVisible()
})

test('a list that is come back to is filtered and scrolled as it was left', async ({ app }) => {
  await app.setViewportSize({ width: 1280, height: 320 })
  await rail(app, 'Runs').click()
  await expect(app.getByRole('heading', { level: 1, name: 'Runs' })).toBeVisible()
  const filter = app.getByRole('textbox', { name: 'Filter' })
  await filter.fill('single')
  await expect(app.getByText('7 of 8')).toBeVisible()
  const body = app.getByRole('main')
  await body.evaluate((element) => (element.scrollTop = 90))
  // Without the scrolling that a click of Playwright's does.
  await app.getByRole('link', { name: /tau=1/ }).first().dispatchEvent('click')
  await expect(app.getByRole('tab', { name: 'Overview' })).toBeVisible()
  expect(await body.evaluate((element) => element.scrollTop)).toBe(0)
  await app.goBack()
  await expect(app.getByText('7 of 8')).toBeVisible()
  await expect(filter).toHaveValue('single')
  await expect.poll(() => body.evaluate((element) => element.scrollTop)).toBe(90)
})
