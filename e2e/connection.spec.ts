import { expect, innerText, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ tolerated: /WebSocket connection to .* failed/ })

test('a host that goes away is told at once, and one that comes back finds the page and what was typed', async ({
  app,
  host,
}) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  const yaml = app.getByLabel('YAML')
  await expect(yaml).toHaveText(/^name: small\n/, innerText)
  await yaml.fill(`${(await yaml.innerText()).trimEnd()}\n# mine\n`)
  await host.stop()
  const silent = app.getByRole('alert').filter({ hasText: 'Retort does not answer' })
  await expect(silent).toBeVisible()
  const save = app.getByRole('button', { name: 'Save', ...exact })
  await save.click()
  await expect(app.getByText('Retort does not answer; nothing was done', exact)).toBeVisible()

  const before = host.url
  await host.start()
  expect(host.url).toBe(before)
  await expect(silent).toBeHidden()
  await expect(yaml).toHaveText(/# mine\s*$/, innerText)
  // What is not saved outlives the page too.
  await app.reload()
  await expect(app.getByText('changed', exact)).toBeVisible()
  await expect(yaml).toHaveText(/# mine\s*$/, innerText)
  await save.click()
  await expect(app.getByText('changed', exact)).toBeHidden()
  await rail(app, 'Runs').click()
  await expect(app.getByRole('heading', { level: 1, name: 'Runs' })).toBeVisible()
  await app.goBack()
  await expect(yaml).toHaveText(/# mine\s*$/, innerText)
})
