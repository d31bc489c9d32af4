import { expect, test } from './fixtures'

test.use({ library: 'pair' })

test('held-out tokens show where teachers disagree, by pointer, by keyboard and from the table', async ({
  app,
}) => {
  await app.getByRole('button', { name: 'Run small' }).click()
  await expect(app.getByText('completed', { exact: true })).toBeVisible({ timeout: 90_000 })
  await app.getByRole('tab', { name: 'Disagreement' }).click()
  const section = app.getByRole('region', { name: 'Where teachers disagree' })
  await expect(section.getByText('student of step 400')).toBeVisible({ timeout: 60_000 })

  const tokens = section.getByRole('listbox', { name: 'Document 1' }).getByRole('option')
  // Each token of the page is in one class.
  const classes = await section.getByText(/^\d+ tokens, \d+ %$/).allInnerTexts()
  expect(classes).toHaveLength(5)
  const sorted = classes.reduce((sum, text) => sum + parseInt(text), 0)
  expect(sorted).toBe(await section.getByRole('option').count())
  const details = section.getByRole('complementary', { name: 'What was said of the token' })
  await tokens.nth(3).hover()
  await expect(details).toContainText('document 1, token 4')
  for (const model of ['cook', 'sure cook', 'Fused target', 'Student']) {
    const said = details.getByRole('region', { name: model, exact: true })
    expect(await said.getByRole('listitem').count()).toBeGreaterThanOrEqual(5)
  }
  // The one whose logits are scaled up is the surer one everywhere, and entropy puts the weight on it.
  const weight = await details.getByRole('region', { name: 'sure cook' }).getByText(/α/).textContent()
  expect(Number(weight!.replace(/[^\d.]/g, ''))).toBeGreaterThan(0.5)

  await tokens.nth(3).focus()
  await app.keyboard.press('ArrowRight')
  await expect(tokens.nth(4)).toBeFocused()
  await expect(details).toContainText('document 1, token 5')
  await app.keyboard.press('Home')
  await expect(details).toContainText('document 1, token 1')

  const place = section.getByRole('table').getByRole('button').first()
  const [, token, document] = /go to token (\d+) of document (\d+)/.exec((await place.textContent())!)!
  await place.press('Enter')
  await expect(details).toContainText(`document ${document}, token ${token}`)

  await section.getByRole('button', { name: 'Documents after' }).click()
  await expect(section.getByText(/documents 5–\d of/)).toBeVisible()
  await expect(section.getByRole('listbox', { name: 'Document 5' })).toBeVisible({ timeout: 60_000 })
})
