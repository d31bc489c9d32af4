import { AxeBuilder } from '@axe-core/playwright'
import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const

test.use({ library: 'pair' })

test('a student that writes some of its text shows what it wrote, and what each teacher made of it', async ({
  app,
}) => {
  test.slow()
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  await expect(app.getByLabel('Written share')).toBeHidden()
  await app.getByRole('button', { name: /^Text/ }).click()
  await app.getByLabel('From', exact).click()
  await app.getByRole('option', { name: 'mixed' }).click()
  for (const [label, value] of [
    ['Written share', '0.5'],
    ['Prompt', '4'],
    ['Written tokens', '30'],
    ['Steps', '12'],
  ] as const)
    await app.getByLabel(label, exact).fill(value)
  // Prompt and writing do not fit together: told beside the field, and nothing can start.
  await expect(app.getByLabel('Written tokens', exact)).toHaveAccessibleDescription(
    /leave no room|more than a context|at most/,
  )
  await app.getByLabel('Written tokens', exact).fill('8')
  await app.getByLabel('Written tokens', exact).blur()
  await expect(app.getByLabel('Written tokens', exact)).not.toHaveAttribute('aria-invalid', 'true')
  await app.getByRole('button', { name: 'Run', ...exact }).click()
  await expect(app.getByText('completed', exact)).toBeVisible({ timeout: 90_000 })

  await app.getByRole('tab', { name: 'Writings' }).click()
  const first = app.getByRole('region', { name: 'Step 1', ...exact })
  await expect(first.getByRole('listitem')).toHaveCount(2)
  await expect(first.getByRole('listitem').first()).toContainText(/recipes · \d+ tokens? · (ended|cut off)/)
  await first.getByText('Token by token').first().click()
  const table = first.getByRole('table').first()
  await expect(table.getByRole('columnheader')).toHaveText([/Token/, /Divergence/, /α cook/, /α sure cook/])
  const weights = (await table.getByRole('row').nth(1).getByRole('cell').allInnerTexts()).slice(2).map(Number)
  expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 2)
  await expect(app.getByRole('region', { name: 'Written tokens a sequence' })).toContainText('step 12')
  const { violations } = await new AxeBuilder({ page: app }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([])
  if (process.env.RETORT_PICTURES) {
    for (const [width, height] of [
      [1280, 800],
      [1920, 1080],
    ] as const)
      for (const scheme of ['light', 'dark'] as const) {
        await app.setViewportSize({ width, height })
        await app.emulateMedia({ colorScheme: scheme })
        const file = `writings-${width}-${scheme}.png`
        await app.screenshot({ path: `${process.env.RETORT_PICTURES}/${file}`, fullPage: true })
      }
  }
})
