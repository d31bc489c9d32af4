import { expect, innerText, rail, test } from './fixtures'

test.use({ library: 'grid' })

test('an experiment tells what of it differs from the defaults, and lets go of it', async ({ app }) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', exact: true }).click()
  const changes = app.getByRole('region', { name: 'Settings that differ from the default' })
  const rate = changes.getByRole('row', { name: /train\.learningRate/ })
  await expect(rate).toContainText('0.003')
  const yaml = app.getByRole('textbox', { name: 'YAML' })
  await expect(yaml).toHaveText(/learningRate: 0.003/, innerText)
  await changes.getByRole('button', { name: 'Reset train.batch' }).click()
  await expect(yaml).not.toHaveText(/\bbatch:/, innerText)
  await expect(changes.getByRole('row', { name: /train\.batch/ })).toHaveCount(0)

  // What was saved before stays, tells what was otherwise, and can be taken back.
  await app.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(app.getByText('changed', { exact: true })).toBeHidden()
  await app.getByRole('button', { name: 'More' }).click()
  await app.getByRole('menuitem', { name: 'Earlier versions' }).click()
  const earlier = app.getByRole('dialog', { name: 'Earlier versions' })
  await expect(earlier.getByRole('row', { name: /train\.batch 4 not set/ })).toBeVisible()
  await earlier.getByRole('button', { name: /^Take back/ }).click()
  await expect(earlier).toBeHidden()
  await expect(yaml).toHaveText(/\bbatch: 4/, innerText)
  await expect(app.getByText('changed', { exact: true })).toBeVisible()
})
