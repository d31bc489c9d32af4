import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeMenu, expect, exportModel, innerText, rail, test } from './fixtures'

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
    await expect(yaml).toHaveText(/^name: cook-on-recipes(-\d)?\ncorpus: recipes\n/, innerText)
    await expect(app.getByText('changed', exact)).toBeHidden()
    await expect(app.getByLabel('Estimate')).toBeVisible()
    await expect(app.getByRole('button', { name: 'Run', ...exact })).toBeEnabled()
    await back()
    await app.getByRole('button', { name: 'Duplicate small', ...exact }).click()
    await expect(yaml).toHaveText(/^name: small-copy/, innerText)
    await app.getByRole('button', { name: 'More' }).click()
    await app.getByRole('menuitem', { name: 'Duplicate' }).click()
    await expect(yaml).toHaveText(/^name: small-copy(-\d)?-copy/, innerText)
    await back()
  }
})

test('all that is wrong stands at its field at once, is listed, and is led to', async ({ app }) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  const yaml = app.getByLabel('YAML')
  await expect(yaml).toHaveText(/^name: small\n/, innerText)
  const text = await yaml.innerText()
  await yaml.fill(
    text
      .replace('heads: 2', 'heads: 3')
      .replace('cook', 'kook')
      .replace('warmup', 'warmpu')
      .concat('loss: { lambda: 1.5 }\n'),
  )
  const summary = app.getByRole('list', { name: 'What is wrong' })
  await expect(summary.getByRole('listitem')).toHaveText([
    /^Teachers: no teacher named "kook"/,
    /^Heads: 3 heads do not divide the width 16/,
    /^Distillation share λ: is too big; expected at most 1/,
    /^train\.warmpu: unknown key; expected "warmup"/,
  ])
  const lambda = app.getByLabel('Distillation share λ')
  await expect(lambda).toHaveAttribute('aria-invalid', 'true')
  await expect(lambda).toHaveAccessibleDescription(/is too big; expected at most 1/)
  await summary.getByRole('button', { name: 'Heads' }).click()
  await expect(app.getByLabel('Heads', exact)).toBeFocused()
  await summary.getByRole('button', { name: 'train.warmpu' }).click()
  await expect(yaml).toBeFocused()
  // It is the YAML that has the keyboard.
  expect(await app.evaluate('getSelection().toString()')).toBe('warmpu: 4')
  // Nothing starts; the keyboard is where the first of them is.
  await app.getByRole('button', { name: 'Run', ...exact }).click()
  await expect(app.getByLabel('Teachers', exact)).toBeFocused()
  await yaml.fill(text)
  await expect(summary).toBeHidden()
  await expect(app.getByLabel('Estimate')).toBeVisible()
})

test('two tabs on one experiment do not undo each other without a word', async ({ app, context, host }) => {
  const open = async (page: typeof app) => {
    await rail(page, 'Experiments').click()
    await page.getByRole('link', { name: 'small', ...exact }).click()
    await expect(page.getByLabel('YAML')).toHaveText(/^name: small\n/, innerText)
  }
  const type = async (page: typeof app, seed: number) => {
    const yaml = page.getByLabel('YAML')
    const text = (await yaml.innerText()).replace(/\nseed: .*/, '')
    await yaml.fill(`${text.trimEnd()}\nseed: ${seed}\n`)
  }
  const save = (page: typeof app) => page.getByRole('button', { name: 'Save', ...exact }).click()
  const overtaken = (page: typeof app) => page.getByText('It was changed elsewhere while you were at it')
  const other = await context.newPage()
  await other.goto(host.url)
  await open(app)
  await open(other)
  await type(app, 11)
  await type(other, 22)
  await save(other)
  await expect(other.getByText('changed', exact)).toBeHidden()
  // The first tab is told at once, keeps what was typed, and saves nothing over it by itself.
  await expect(overtaken(app)).toBeVisible()
  await save(app)
  await expect(app.getByText(/was changed elsewhere meanwhile/).first()).toBeVisible()
  await expect(app.getByLabel('YAML')).toHaveText(/seed: 11/, innerText)
  await app.reload()
  await expect(overtaken(app)).toBeVisible()
  await app.getByRole('button', { name: 'Save mine' }).click()
  await expect(overtaken(app)).toBeHidden()
  await expect(other.getByLabel('YAML')).toHaveText(/seed: 11/, innerText)
  await type(other, 33)
  await type(app, 44)
  await save(other)
  await expect(overtaken(app)).toBeVisible()
  await app.getByRole('button', { name: 'Take the other' }).click()
  await expect(app.getByLabel('YAML')).toHaveText(/seed: 33/, innerText)
  await expect(app.getByText('changed', exact)).toBeHidden()
})

test('a corpus is routed to a teacher by the form', async ({ app }) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  const yaml = app.getByLabel('YAML')
  await expect(yaml).toHaveText(/^name: small\n/, innerText)
  await expect(app.getByLabel('Teacher of recipes')).toBeHidden()
  await app.getByLabel('Weighting', exact).click()
  await app.getByRole('option', { name: 'routed' }).click()
  await expect(app.getByText(/"routed" needs a teacher for each corpus/).first()).toBeVisible()
  await app.getByLabel('Teacher of recipes').click()
  await app.getByRole('option', { name: 'cook' }).click()
  await expect(yaml).toHaveText(
    /weighting:\s+(\{ )?strategy: routed[\s\S]*routes: \{ recipes: cook \}/,
    innerText,
  )
  await expect(app.getByText(/"routed" needs a teacher for each corpus/)).toHaveCount(0)
  await expect(app.getByRole('button', { name: 'Run', ...exact })).toBeEnabled()
})

test('a student begins as a model of the library and trains adapters, which are exported alone', async ({
  app,
  host,
}) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  const yaml = app.getByLabel('YAML')
  await expect(yaml).toHaveText(/^name: small\n/, innerText)
  const choose = async (field: string, option: string) => {
    await app.getByLabel(field, exact).click()
    await app.getByRole('option', { name: option }).click()
  }
  await choose('Begins as', 'cook')
  await expect(app.getByLabel('Width', exact)).toBeHidden()
  await choose('Trained', 'adapters (LoRA)')
  await app.getByLabel('Rank', exact).fill('2')
  await app.getByLabel('Rank', exact).press('Tab')
  await expect(yaml).toHaveText(/student:\s+(\{ )?from: cook[\s\S]*rank: 2/, innerText)
  await app.getByLabel('Steps', exact).fill('4')
  await app.getByLabel('Steps', exact).press('Tab')
  await app.getByRole('button', { name: 'Run', ...exact }).click()
  await expect(app.getByText('completed', exact)).toBeVisible()
  await app.getByRole('tab', { name: 'Lineage' }).click()
  await expect(app.getByRole('region', { name: 'Made from' })).toContainText(
    'cook is the model that it began as',
  )
  const out = join(host.dataDir, '..', 'adapters')
  const dialog = await exportModel(app, 'PEFT adapters', out)
  await expect(dialog.getByText(`Written to ${out}`)).toBeVisible()
  expect(readdirSync(out).sort()).toEqual([
    'README.md',
    'adapter_config.json',
    'adapter_model.safetensors',
    'base',
  ])
})

test('a corpus of conversations is shown as its template writes it, what counts of it marked', async ({
  app,
  host,
}) => {
  const path = join(host.dataDir, '..', 'chats.jsonl')
  const turns = (i: number) => [
    { role: 'user', content: `What is ${i}?` },
    { role: 'assistant', content: `A number, ${i}.` },
  ]
  writeFileSync(path, Array.from({ length: 40 }, (_, i) => JSON.stringify({ messages: turns(i) })).join('\n'))
  await rail(app, 'Corpora').click()
  await app.getByRole('button', { name: 'Import', ...exact }).click()
  await app.getByRole('textbox', { name: 'Path' }).fill(path)
  await app.getByRole('button', { name: 'Import corpus' }).click()
  await expect(app.getByRole('cell', { name: 'chats', ...exact })).toBeVisible()

  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  await app.getByLabel('Corpora', exact).click()
  await app.getByRole('option', { name: 'chats' }).click()
  await closeMenu(app)
  const chats = app.getByRole('group', { name: 'chats' })
  await chats.getByRole('button', { name: 'Preview chats' }).click()
  await expect(app.getByText('has no chat template').first()).toBeVisible()
  await chats.getByLabel('Template').click()
  await app.getByRole('option', { name: 'chatml' }).click()
  await expect(app.getByLabel('YAML')).toHaveText(/name: chats, template: chatml/, innerText)
  await app.getByLabel('Sequence length').fill('90')
  await app.getByLabel('Sequence length').press('Tab')
  await chats.getByRole('button', { name: 'Preview chats' }).click()
  const first = app.getByRole('region', { name: 'Document 1' })
  await expect(first).toContainText('<|im_start|>user\nWhat is 0?<|im_end|>')
  await expect(first.locator('mark')).toHaveText('A number, 0.<|im_end|>')
})
