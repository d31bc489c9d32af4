import { expect, rail, test } from './fixtures'

test.use({ library: 'many' })

test('of hundreds of runs those in sight are drawn; sorting and filter go by values and stay in the address', async ({
  app,
}) => {
  await rail(app, 'Runs').click()
  await expect(app.getByText('600 of 600')).toBeVisible()
  const rows = app.locator('tbody tr[aria-rowindex]')
  const first = rows.first().getByRole('link')
  await expect(first).toHaveText('run 599')
  expect(await rows.count()).toBeLessThan(80)
  await expect(app.getByRole('table')).toHaveAttribute('aria-rowcount', '601')

  await app.getByRole('button', { name: 'Perplexity' }).click()
  await expect(first).toHaveText('run 000')
  await app.getByRole('button', { name: 'Perplexity' }).click()
  await expect(app.getByRole('columnheader', { name: 'Perplexity' })).toHaveAttribute(
    'aria-sort',
    'descending',
  )
  await app.getByLabel('Filter').fill('perplexity<100 seed=3')
  // Of 98 with perplexities 2 to 99 those of numbers 3, 8, ... 93.
  await expect(app.getByText('19 of 600')).toBeVisible()
  await expect(first).toHaveText('run 093')
  await app.reload()
  await expect(app.getByText('19 of 600')).toBeVisible()
  await expect(first).toHaveText('run 093')

  await app.getByLabel('Filter').fill('')
  await expect(first).toHaveText('run 599')
  await app.locator('main').evaluate((main) => main.scrollTo(0, main.scrollHeight))
  await expect(rows.last().getByRole('link')).toHaveText('run 000')
  await expect(rows.last()).toHaveAttribute('aria-rowindex', '601')
  expect(await rows.count()).toBeLessThan(80)
  await app.getByLabel('Select run 000').click()
  await app.locator('main').evaluate((main) => main.scrollTo(0, 0))
  await expect(first).toHaveText('run 599')
  await app.getByLabel('Select run 599').click()
  await expect(app.getByText('2 selected')).toBeVisible()
})
