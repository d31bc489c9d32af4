import { expect, rail, test } from './fixtures'

test.use({ library: 'pair' })

test('teachers are measured on held-out text, and told apart by how sure they are and how they differ', async ({
  app,
}) => {
  await rail(app, 'Teachers').click()
  const measures = app.getByRole('region', { name: 'Measures on held-out text' })
  await expect(measures).toContainText('Not measured yet')
  await measures.getByRole('button', { name: 'Evaluate all' }).click()
  const apart = measures.getByRole('region', { name: 'Pairwise divergence' })
  await expect(apart).toBeVisible({ timeout: 90_000 })
  const cells = (name: string) => apart.getByRole('row', { name, exact: false }).last().getByRole('cell')
  await expect(cells('sure cook').nth(2)).toHaveText('0')
  const divergence = Number(await cells('sure cook').nth(1).innerText())
  expect(divergence).toBeGreaterThan(0)
  // The other is the same with its logits scaled: right as often, but surer than it is right.
  await measures.getByLabel('Measure', { exact: true }).click()
  await app.getByRole('option', { name: 'Top-1 accuracy' }).click()
  const table = measures.getByRole('table').first()
  const accuracies = await table.getByRole('row').getByRole('cell').allInnerTexts()
  expect(accuracies[1]).toBe(accuracies[3])
  await expect(
    measures.getByRole('region', { name: 'Reliability' }).getByRole('img', { name: /cook, sure cook/ }),
  ).toBeVisible()
})
