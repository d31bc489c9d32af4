import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const

test('new and duplicated experiments open filled, and a new one can run as it is', async ({ app }) => {
  // Lists that are loaded before are what made the page read a row that had not come yet.
  for (const page of ['Teachers', 'Corpora', 'Runs', 'Experiments']) {
    await rail(app, page).click()
    await expect(app.getByRole('row').nth(1)).toBeVisible()
  }
  const yaml = app.getByLabel('YAML')
  const back = () => rail(app, 'Experiments').click()
  for (let i = 0; i < 4; i++) {
    await app.getByRole('button', { name: 'New experiment' }).click()
    await expect(yaml).toHaveValue(/^name: cook-on-recipes(-\d)?\ncorpus: recipes\n/)
    await expect(app.getByText('changed', exact)).toBeHidden()
    await expect(app.getByLabel('Estimate')).toBeVisible()
    await expect(app.getByRole('button', { name: 'Run', ...exact })).toBeEnabled()
    await back()
    await app.getByRole('button', { name: 'Duplicate small', ...exact }).click()
    await expect(yaml).toHaveValue(/^name: small-copy/)
    await app.getByRole('button', { name: 'More' }).click()
    await app.getByRole('menuitem', { name: 'Duplicate' }).click()
    await expect(yaml).toHaveValue(/^name: small-copy(-\d)?-copy/)
    await back()
  }
})
