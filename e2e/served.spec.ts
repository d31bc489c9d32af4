import { Double } from '../electron/engine/teachers/served/testing'
import { expect, innerText, rail, test } from './fixtures'

const exact = { exact: true } as const

test('a teacher behind a server is imported by its address, and an experiment says how much it asks', async ({
  app,
}) => {
  const vocab = 320
  const say = (ids: readonly number[]) => {
    const rows = ids.map((id) => {
      const scores = Float32Array.from({ length: vocab }, (_, i) => Math.sin(id + i))
      const total = Math.log(scores.reduce((sum, z) => sum + Math.exp(z), 0))
      return scores.map((z) => z - total)
    })
    return Promise.resolve(rows)
  }
  const server = new Double({ dialect: 'vllm', say })
  const url = await server.start()
  try {
    await rail(app, 'Teachers').click()
    await app.getByRole('button', { name: 'Import', ...exact }).click()
    const dialog = app.getByRole('dialog', { name: 'Import a teacher' })
    await expect(dialog.getByRole('textbox', { name: 'Model' })).toBeHidden()
    await dialog.getByRole('textbox', { name: 'Path' }).fill(url)
    await dialog.getByRole('textbox', { name: 'Model' }).fill('tiny')
    await dialog.getByRole('textbox', { name: 'Tokenizer' }).fill('bpe')
    await dialog.getByRole('button', { name: 'Import teacher' }).click()
    const row = app.getByRole('row', { name: /tiny/ })
    await expect(row.getByRole('cell', { name: 'served' })).toHaveAttribute(
      'title',
      new RegExp(`^tiny behind ${url} \\(vllm\\): 20 alternatives a token, [\\d.]+ % of the probability$`),
    )

    await rail(app, 'Experiments').click()
    await app.getByRole('link', { name: 'small', ...exact }).click()
    const yaml = app.getByLabel('YAML')
    await expect(yaml).toHaveText(/- cook/, innerText)
    await yaml.fill(
      `${(await yaml.innerText()).replace('- cook', '- tiny').trimEnd()}\nloss: { features: false }\n`,
    )
    await expect(app.getByLabel('Estimate')).toContainText('are asked for at most about')
  } finally {
    await server.stop()
  }
})
