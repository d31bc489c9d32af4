import { expect, innerText, rail, test } from './fixtures'

const exact = { exact: true } as const

test('the YAML completes keys and values, tells what they are for, and marks what is wrong where it stands', async ({
  app,
}) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  const yaml = app.getByRole('textbox', { name: 'YAML' })
  await expect(yaml).toHaveText(/^name: small\n/, innerText)
  await yaml.focus()
  await yaml.press('Control+End')
  await yaml.pressSequentially('weigh')
  const offers = app.getByRole('listbox', { name: 'Completions' })
  await expect(offers.getByRole('option')).toHaveText(['weighting'])
  // An Enter within a blink of the list's coming is a line's end.
  await app.waitForTimeout(150)
  await yaml.press('Enter')
  await expect(yaml).toHaveText(/\nweighting:\s*$/, innerText)
  await yaml.pressSequentially(' { tem')
  await expect(offers.getByRole('option')).toHaveText(['temperatureWeighting temperature'])
  await expect(app.getByText('Lower is sharper · above 0 · default 1').last()).toBeVisible()
  await yaml.press('Escape')
  await yaml.pressSequentially('perature: -2, strategy: ')
  await yaml.press('Control+Space')
  await expect(offers.getByRole('option', { name: 'label-confidence', ...exact })).toBeVisible()
  await yaml.press('Escape')
  await yaml.pressSequentially('uniform }')
  const wrong = app.locator('.cm-lintRange-error')
  await expect(wrong).toHaveText('temperature: -2')
  await wrong.hover()
  await expect(app.locator('.cm-tooltip-lint')).toContainText('weighting.temperature')
  // The form is the same document, and changes only what it is about.
  const temperature = app.getByLabel('Weighting temperature', exact)
  await temperature.fill('2')
  await temperature.press('Tab')
  await expect(yaml).toHaveText(/weighting: \{ temperature: 2, strategy: uniform \}/, innerText)
  await expect(wrong).toHaveCount(0)
  await yaml.focus()
  await yaml.press('Control+z')
  await expect(temperature).toHaveValue('-2')
})
