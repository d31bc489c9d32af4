import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const

test('a chart opened while its run is young ends as one that is opened afterwards', async ({ app }) => {
  await app.getByRole('button', { name: 'Run small' }).click()
  const chart = app.getByRole('region', { name: 'Gradient norm' })
  await expect(chart).toContainText(/step [1-9]/)
  await expect(app.getByText('completed', exact)).toBeVisible({ timeout: 90_000 })
  await expect(chart).toContainText('step 400')
  const picture = async () => (await chart.locator('canvas').screenshot()).toString('base64')
  const live = await picture()
  await app.reload()
  await expect(chart).toContainText('step 400')
  await expect.poll(picture).toBe(live)
})

test.describe('with a grid', () => {
  test.use({ library: 'grid' })

  test('a run keeps its colour when another one leaves the comparison', async ({ app }) => {
    await rail(app, 'Compare').click()
    const table = app.getByRole('table', { name: 'Metrics' })
    const choose = async (...names: string[]) => {
      await app.getByLabel('Runs to compare').click()
      for (const name of names) await app.getByRole('option', { name }).click()
      await app.keyboard.press('Escape')
    }
    const stroke = (name: string) =>
      table.getByRole('row', { name }).locator('svg line').first().getAttribute('stroke')
    const [youngest, a, b] = ['tau=2, lambda=0.8', 'tau=1, lambda=0.2', 'tau=1, lambda=0.8'] as const
    await choose(youngest, a, b)
    await expect(table.getByRole('row')).toHaveCount(4)
    const before = [await stroke(a), await stroke(b)]
    expect(new Set([...before, await stroke(youngest)]).size).toBe(3)
    await choose(youngest)
    await expect(table.getByRole('row')).toHaveCount(3)
    expect([await stroke(a), await stroke(b)]).toEqual(before)
  })
})
