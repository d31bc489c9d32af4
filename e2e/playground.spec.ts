import { expect, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'grid' })

test('a text is seen while it is written, is stopped, and tells of each token what else was likely', async ({
  app,
  host,
}) => {
  await app.goto(new URL('#/playground?model=cook', host.url).href)
  await expect(app.getByRole('heading', { level: 1, name: 'Playground' })).toBeVisible()
  const count = app.getByLabel('Tokens', exact)
  await app.getByLabel('Prompt').fill('the cook')
  await count.fill('2000')
  await count.press('Tab')
  await app.getByRole('button', { name: 'Generate' }).click()
  const text = app.getByRole('region', { name: 'Continuation' })
  await expect(text.getByText(/^\d+ tokens?$/)).toBeVisible()
  await app.getByRole('button', { name: 'Stop', ...exact }).click()
  await expect(text.getByText(/^\d+ tokens, stopped$/)).toBeVisible()
  const stopped = Number(/\d+/.exec(await text.getByText(/tokens, stopped/).innerText())![0])
  expect(stopped).toBeLessThan(2000)
  await expect(app.getByRole('status').filter({ hasText: 'Stopped' })).toHaveText(
    'Stopped. 1 continuation written.',
  )

  await count.fill('6')
  await count.press('Tab')
  await app.getByRole('button', { name: 'Generate' }).click()
  const tokens = text.first().getByRole('option')
  await expect(tokens).toHaveCount(6)
  // Greedy: what was written is the likeliest.
  await tokens.first().focus()
  await app.keyboard.press('ArrowRight')
  await expect(tokens.nth(1)).toBeFocused()
  const about = app.locator(`[id="${await tokens.nth(1).getAttribute('aria-describedby')}"]`)
  const shares = (await about.innerText()).match(/[\d.]+(?= %)/g)!.map(Number)
  // The token itself, then the five likeliest, of which it is the first.
  expect(shares).toHaveLength(6)
  expect(shares[1]).toBe(shares[0])
  expect(shares.slice(1)).toEqual(shares.slice(1).toSorted((a, b) => b - a))
  await app.keyboard.press('End')
  await expect(tokens.nth(5)).toBeFocused()
})
