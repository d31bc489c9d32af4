import { closeMenu, expect, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'grid' })

test('runs are tagged, starred, filtered by settings, folded by grid, shown with columns of choice, and the view is kept', async ({
  app,
  host,
}) => {
  await rail(app, 'Runs').click()
  const filter = app.getByRole('textbox', { name: 'Filter' })
  await expect(app.getByText('8 of 8')).toBeVisible()

  for (const tau of [1, 2])
    await app.getByRole('checkbox', { name: `Select both: tau=${tau}, lambda=0.8`, exact: false }).click()
  await app.getByRole('button', { name: 'More', ...exact }).click()
  await app.getByRole('menuitem', { name: 'Tags' }).click()
  const dialog = app.getByRole('dialog', { name: 'Tags' })
  // Taken in as the field is left: by the button, or by the menu that closes.
  await dialog.getByRole('textbox').fill('paper')
  await dialog.getByRole('button', { name: 'Keep' }).click()
  await expect(dialog).toBeHidden()
  await app.getByRole('button', { name: /Star both: tau=1, lambda=0.2/ }).click()
  await expect(app.getByRole('button', { name: /Star both: tau=1, lambda=0.2/ })).toHaveAttribute(
    'aria-pressed',
    'true',
  )

  await filter.fill('lambda > 0.5 and tag = paper')
  await expect(app.getByText('2 of 8')).toBeVisible()
  await filter.fill('tau = 2 and not tag = paper')
  await expect(app.getByText('1 of 8')).toBeVisible()
  await filter.fill('starred = yes')
  await expect(app.getByText('1 of 8')).toBeVisible()
  await filter.fill('lambada > 1')
  await expect(app.getByRole('alert').filter({ hasText: '"lambada" is no column' })).toBeVisible()

  await filter.fill('group ~ both')
  await expect(app.getByText('4 of 8')).toBeVisible()
  await app.getByLabel('Further columns').click()
  await app.getByRole('option', { name: 'loss.lambda' }).click()
  await closeMenu(app)
  const table = app.getByRole('table')
  await expect(table.getByRole('columnheader', { name: 'loss.lambda' })).toBeVisible()
  await expect(table.getByRole('row', { name: /tau=1, lambda=0.2/ })).toContainText('0.2')
  await app.getByRole('button', { name: 'loss.lambda' }).click()
  await expect(table.getByRole('row').nth(1)).toContainText('lambda=0.2')

  await app.getByRole('combobox', { name: 'Folded' }).click()
  await app.getByRole('option', { name: 'By grid' }).click()
  const fold = table.getByRole('button', { name: 'both', ...exact })
  await expect(fold).toHaveAttribute('aria-expanded', 'false')
  await expect(table.getByRole('row')).toHaveCount(2)
  await expect(table.getByRole('row', { name: /both/ })).toContainText('4 runs')
  await fold.click()
  await expect(table.getByRole('row')).toHaveCount(6)

  await app.getByRole('button', { name: 'Views' }).click()
  await app.getByRole('menuitem', { name: 'Keep this view' }).click()
  await app.getByRole('dialog').getByLabel('Name').fill('lambdas')
  await app.getByRole('dialog').getByRole('button', { name: 'Keep' }).click()
  await expect(app.getByRole('dialog')).toBeHidden()

  // Kept by the host: another window, which has seen nothing of it, has columns and view.
  const other = await app.context().newPage()
  await other.goto(host.url)
  await rail(other, 'Runs').click()
  await expect(other.getByText('8 of 8')).toBeVisible()
  await expect(other.getByRole('columnheader', { name: 'loss.lambda' })).toBeVisible()
  await other.getByRole('button', { name: 'Views' }).click()
  await other.getByRole('menuitem', { name: 'lambdas' }).click()
  await expect(other.getByText('4 of 8')).toBeVisible()
  await expect(other.getByRole('table').getByRole('row')).toHaveCount(6)
  await other.close()
})

test('a note on a run shows its Markdown, of which nothing acts, and survives a reload', async ({ app }) => {
  await rail(app, 'Runs').click()
  await app.getByRole('link', { name: /tau=1, lambda=0.2/ }).click()
  await app.getByRole('button', { name: 'Write a note' }).click()
  await app
    .getByRole('textbox', { name: 'Note' })
    .fill('# Why\n\n**Baseline** of the paper\n\n<img src=x onerror="alert(1)">')
  await app.getByRole('button', { name: 'Keep', ...exact }).click()
  const note = app.getByRole('region', { name: 'Note' })
  await expect(note.getByRole('heading', { name: 'Why' })).toBeVisible()
  await app.reload()
  await expect(note.locator('strong')).toHaveText('Baseline')
  await expect(note.locator('img')).toHaveCount(0)
  await expect(note).toContainText('<img src=x')
})
