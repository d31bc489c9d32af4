import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeMenu, expect, exportModel, innerText, rail, test } from './fixtures'

const button = { exact: true } as const

test.describe('on an empty data directory', () => {
  test.use({ library: 'empty' })

  test('every page says what to do first, and the demo is offered', async ({ app }) => {
    await expect(app.getByRole('region', { name: 'Demo' })).toBeVisible()
    await expect(app.getByText('No experiments yet')).toBeVisible()
    const empty = {
      Teachers: 'No teachers yet',
      Corpora: 'No corpora yet',
      Grids: 'No grids yet',
      Queue: 'Nothing to do',
      Runs: 'No runs yet',
      Compare: 'Nothing to compare yet',
      Playground: 'No model yet',
      Reports: 'No reports yet',
    }
    for (const [page, words] of Object.entries(empty)) {
      await rail(app, page).click()
      await expect(app.getByRole('heading', { level: 1, name: page })).toBeVisible()
      await expect(app.getByText(words)).toBeVisible()
    }
    await rail(app, 'Settings').click()
    await expect(app.getByRole('cell', { name: 'onnx', exact: true })).toBeVisible()
  })

  test('the token leaves the address, and a page without it is told so in one line', async ({
    app,
    host,
    context,
  }) => {
    expect(app.url()).not.toContain('token')
    await app.reload()
    await expect(app.getByText('No experiments yet')).toBeVisible()
    const stranger = await context.newPage()
    await stranger.goto(new URL('/', host.url).href)
    await expect(stranger.getByText('the token is not that of this server')).toBeVisible()
  })

  test('a corpus is imported, and a wrong file is refused with its reason', async ({ app, host }) => {
    const good = join(host.dataDir, '..', 'good.txt')
    const bad = join(host.dataDir, '..', 'bad.txt')
    writeFileSync(good, 'One line of text.\n'.repeat(400))
    writeFileSync(bad, Uint8Array.of(72, 228, 116, 10))
    await rail(app, 'Corpora').click()
    for (const path of [bad, good]) {
      await app.getByRole('button', { name: 'Import', ...button }).click()
      await app.getByRole('textbox', { name: 'Path' }).fill(path)
      await app.getByRole('button', { name: 'Import corpus' }).click()
      await expect(app.getByRole('dialog')).toBeHidden()
      if (path === good) continue
      // Where it was started, until it is put away.
      await expect(app.getByText('the text is not UTF-8')).toBeVisible()
      await app.getByRole('button', { name: 'Put away Import bad' }).click()
      await expect(app.getByText('the text is not UTF-8')).toBeHidden()
    }
    await expect(app.getByRole('row', { name: /good/ })).toBeVisible()
    await rail(app, 'Queue').click()
    await expect(app.getByText('the text is not UTF-8')).toBeVisible()
  })

  test('a tokenizer is trained on text that was previewed, its field chosen by a click', async ({
    app,
    host,
  }) => {
    const file = join(host.dataDir, '..', 'notes.jsonl')
    const records = Array.from({ length: 40 }, (_, i) => ({ body: `Note ${i}: the kettle is on the shelf.` }))
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    await rail(app, 'Corpora').click()
    await app.getByRole('button', { name: 'Import', ...button }).click()
    await app.getByRole('textbox', { name: 'Path' }).fill(file)
    await app.getByRole('button', { name: 'Preview' }).click()
    const preview = app.getByRole('region', { name: 'Preview' })
    await expect(preview.getByText('No document has text there.')).toBeVisible()
    await preview.getByRole('button', { name: 'body' }).click()
    await app.getByRole('button', { name: 'Preview' }).click()
    await expect(preview.getByText('Note 0: the kettle is on the shelf.').last()).toBeVisible()
    await app.getByRole('button', { name: 'Import corpus' }).click()
    await expect(app.getByRole('row', { name: /notes/ })).toBeVisible()
    await app.getByRole('button', { name: 'Tokenizers', ...button }).click()
    const dialog = app.getByRole('dialog', { name: 'Tokenizers' })
    await dialog.getByRole('spinbutton').fill('280')
    await dialog.getByRole('button', { name: 'Train tokenizer' }).click()
    await expect(dialog.getByRole('row', { name: /280/ })).toBeVisible()
  })

  test('a study says what it asks and needs, and a folder that lacks it is refused', async ({
    app,
    host,
  }) => {
    await rail(app, 'Reports').click()
    await app.getByRole('button', { name: 'Study', ...button }).click()
    const dialog = app.getByRole('dialog', { name: 'Study' })
    await expect(dialog.getByText('36 runs, 0 of them done here')).toBeVisible()
    await dialog.getByRole('textbox').fill(host.dataDir)
    await dialog.getByRole('button', { name: 'Start study' }).click()
    await expect(app.getByText('is the source folder the right one?', { exact: false }).first()).toBeVisible()
    await expect(dialog).toBeVisible()
  })
})

test('an experiment is edited, run, paused, stopped, resumed, compared and reported', async ({ app }) => {
  await app.getByRole('link', { name: 'small' }).click()
  const yaml = app.getByLabel('YAML')
  await expect(yaml).toHaveText(/corpus:/, innerText)
  const text = await yaml.innerText()
  await yaml.fill(text.replace('corpus:', 'corpsu:'))
  await expect(app.getByText('unknown key; expected "corpus"')).toBeVisible()
  // It leads to what is wrong, and starts nothing.
  await app.getByRole('button', { name: 'Run', ...button }).click()
  await expect(app.getByRole('list', { name: 'What is wrong' })).toBeVisible()
  await expect(app).toHaveURL(/experiments\/small/)
  await yaml.fill(text)
  await app.getByRole('spinbutton', { name: 'τ' }).fill('2')
  await app.getByRole('spinbutton', { name: 'τ' }).press('Tab')
  await expect(yaml).toHaveText(/tau: 2/, innerText)
  await app.getByRole('button', { name: 'Run', ...button }).click()

  await expect(app.getByRole('heading', { level: 1, name: 'small' })).toBeVisible()
  await expect(app.getByText('running', { exact: true })).toBeVisible()
  await app.getByRole('button', { name: 'Pause' }).click()
  await expect(app.getByText('paused', { exact: true })).toBeVisible()
  await app.getByRole('button', { name: 'Continue' }).click()
  await expect(app.getByText('running', { exact: true })).toBeVisible()
  await app.getByRole('button', { name: 'Stop' }).click()
  await expect(app.getByText('stopped', { exact: true })).toBeVisible()
  await app.getByRole('button', { name: 'Resume' }).click()
  await expect(app.getByText('completed', { exact: true })).toBeVisible({ timeout: 90_000 })
  await expect(app.getByText('400/400')).toBeVisible()
  await expect(app.getByRole('region', { name: 'Loss' })).toContainText('step 400')
  await app.getByRole('tab', { name: 'Log' }).click()
  for (const event of ['started', 'paused', 'continued', 'stopped', 'resumed', 'completed']) {
    await expect(app.getByRole('cell', { name: event, exact: true })).toBeVisible()
  }

  await rail(app, 'Runs').click()
  await app.getByRole('checkbox', { name: 'Select small' }).click()
  await app.getByRole('checkbox', { name: 'Select cook' }).click()
  await app.getByRole('button', { name: 'Compare', ...button }).click()
  await expect(app.getByRole('table', { name: 'Metrics' }).getByRole('row')).toHaveCount(3)
  await expect(app.getByRole('cell', { name: 'loss.lambda' })).toBeVisible()
  await app.getByRole('button', { name: 'Report', ...button }).click()
  await app.getByRole('button', { name: 'Write report' }).click()
  await expect(
    app.frameLocator('iframe').getByRole('heading', { name: 'What the numbers say' }),
  ).toBeVisible()
})

test('a worker that dies takes only its run with it, which can be resumed', async ({ app, host }) => {
  await app.getByRole('button', { name: 'Run small' }).click()
  await expect(app.getByRole('region', { name: 'Loss' })).toContainText(/step [1-9]/)
  const { pathname, hash } = new URL(app.url())
  expect(pathname).toBe('/')
  const id = hash.split('/').at(-1)!
  process.kill(parseInt(readFileSync(join(host.dataDir, 'runs', id, 'worker.pid'), 'utf8')), 'SIGKILL')
  await expect(app.getByText('was killed by SIGKILL')).toBeVisible()
  await app.getByRole('button', { name: 'Resume' }).click()
  await expect(app.getByText('completed', { exact: true })).toBeVisible({ timeout: 90_000 })
})

test.describe('with two teachers', () => {
  test.use({ library: 'pair' })

  test('models continue a prompt side by side in the playground, and what was tried stays', async ({
    app,
  }) => {
    await rail(app, 'Playground').click()
    await app.getByLabel('Models', button).click()
    for (const name of ['cook', 'sure cook']) await app.getByRole('option', { name, ...button }).click()
    await closeMenu(app)
    const made = app.getByRole('region', { name: 'Continuation' }).getByRole('article')
    for (const prompt of ['Chop', 'Stir']) {
      // The menu that closes gives the focus back a moment later, and what is typed would go there.
      await expect(async () => {
        await app.getByLabel('Prompt').fill(prompt)
        await expect(app.getByLabel('Prompt')).toHaveValue(prompt, { timeout: 500 })
      }).toPass()
      await app.getByRole('button', { name: 'Generate', ...button }).click()
      // A process for each of them; what the prompt before was continued with stays until they answer.
      await expect(made.nth(1).locator('p').first()).toContainText(prompt, { timeout: 90_000 })
      for (const i of [0, 1]) await expect(made.nth(i)).toContainText('tokens/s', { timeout: 90_000 })
      // Both are greedy, and the one is the other with its logits scaled: they say the same.
      const texts = await Promise.all([0, 1].map((i) => made.nth(i).locator('p').first().textContent()))
      expect(texts[0]).toBe(texts[1])
      expect(texts[0]!.trim().startsWith(prompt)).toBe(true)
      expect(texts[0]!.trim().length).toBeGreaterThan(prompt.length)
    }
    await app.reload()
    await expect(app.getByRole('region', { name: 'Earlier' })).toContainText('Chop')
    await app.getByRole('region', { name: 'Earlier' }).getByRole('button', { name: 'Use its prompt' }).click()
    await expect(app.getByLabel('Prompt')).toHaveValue('Chop')
  })
})

test.describe('with a model in the Hugging Face cache', () => {
  const cache = mkdtempSync(join(tmpdir(), 'retort-hub-'))
  test.beforeAll(() => void Object.assign(process.env, { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '1' }))
  test.afterAll(() => {
    delete process.env['HF_HUB_CACHE']
    delete process.env['HF_HUB_OFFLINE']
    rmSync(cache, { recursive: true, force: true })
  })

  test('the import’s dialog lists it, and it is imported by its name', async ({ app }) => {
    const repository = join(cache, 'models--kitchen--Chef')
    await rail(app, 'Runs').click()
    await app.getByRole('link', { name: 'cook' }).click()
    const written = await exportModel(app, 'Hugging Face', join(repository, 'snapshots', 'abc'))
    await expect(written.getByText('Exported')).toBeVisible()
    mkdirSync(join(repository, 'refs'))
    writeFileSync(join(repository, 'refs', 'main'), 'abc')
    await app.keyboard.press('Escape')

    await rail(app, 'Teachers').click()
    await app.getByRole('button', { name: 'Import', ...button }).click()
    const dialog = app.getByRole('dialog', { name: 'Import a teacher' })
    await dialog.getByLabel('Hugging Face cache').click()
    const option = app.getByRole('option', { name: /kitchen\/Chef/ })
    await expect(option).toContainText('llama, ')
    await option.click()
    await expect(dialog.getByRole('textbox', { name: 'Path' })).toHaveValue('hf:kitchen/Chef')
    await dialog.getByRole('button', { name: 'Import teacher' }).click()
    await expect(app.getByRole('row', { name: /Chef/ })).toBeVisible()
  })
})

test('a run’s model is exported for other tools; what cannot be written says why', async ({ app, host }) => {
  await rail(app, 'Runs').click()
  await app.getByRole('link', { name: 'cook' }).click()
  const taken = join(host.dataDir, 'catalogue.json')
  const refused = await exportModel(app, 'ONNX', taken)
  await expect(refused.getByText('The model could not be exported')).toBeVisible()
  await expect(refused.getByText(taken)).toBeVisible()
  const out = join(host.dataDir, '..', 'exported')
  await refused.getByRole('textbox', { name: 'Folder' }).fill(out)
  await refused.getByRole('combobox', { name: 'Format' }).click()
  await app.getByRole('option', { name: 'Hugging Face' }).click()
  await refused.getByRole('combobox', { name: 'Numbers' }).click()
  await app.getByRole('option', { name: 'bfloat16' }).click()
  await refused.getByRole('button', { name: 'Export', ...button }).click()
  await expect(refused.getByText(`Written to ${out}`)).toBeVisible()
  const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, unknown>
  expect([config['hidden_size'], config['dtype']]).toEqual([24, 'bfloat16'])
  expect(readdirSync(out).sort()).toEqual([
    'README.md',
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ])
  await refused.getByRole('combobox', { name: 'Format' }).click()
  await app.getByRole('option', { name: 'GGUF' }).click()
  await refused.getByRole('combobox', { name: 'Numbers' }).click()
  await app.getByRole('option', { name: 'q8_0' }).click()
  await refused.getByRole('button', { name: 'Export', ...button }).click()
  await expect(refused.getByText(/have 24 numbers, q8_0 holds 32 at a time/)).toBeVisible()
  await refused.getByRole('combobox', { name: 'Numbers' }).click()
  await app.getByRole('option', { name: 'float16' }).click()
  await refused.getByRole('button', { name: 'Export', ...button }).click()
  await expect(refused.getByText(`Written to ${out}`)).toBeVisible()
  expect(readdirSync(out)).toContain('model.gguf')
})

test('an ablation tells its cost on an experiment, starts there and ends in a report', async ({ app }) => {
  await app.getByRole('link', { name: 'small' }).click()
  await expect(app.getByLabel('YAML')).toHaveText(/corpus:/, innerText)
  await app.getByRole('button', { name: 'Ablation' }).click()
  await app.getByRole('menuitem', { name: 'Fusion of the teachers' }).click()
  const dialog = app.getByRole('dialog', { name: 'Ablation: Fusion of the teachers' })
  const estimate = dialog.getByLabel('Estimate', button)
  await expect(estimate).toContainText('6; 1 at a time')
  await expect(estimate).toContainText(/about \d+ (s|min); \d+ (s|min) a cell/)
  await dialog.getByRole('textbox', { name: 'Seeds' }).fill('1, two')
  await expect(dialog.getByText('whole numbers, as in 1, 2, 3')).toBeVisible()
  await expect(dialog.getByRole('button', { name: 'Start' })).toBeDisabled()
  await dialog.getByRole('textbox', { name: 'Seeds' }).fill('1')
  await expect(estimate).toContainText('2; 1 at a time')
  await dialog.getByText('Cell by cell').click()
  await expect(dialog.getByRole('row', { name: /fusion=geometric 1 \d+ (s|min)/ })).toBeVisible()
  await dialog.getByRole('button', { name: 'Start' }).click()
  await expect(app.getByRole('heading', { level: 1, name: 'small fusion' })).toBeVisible()
  const report = app.getByRole('link', { name: 'Report', ...button })
  await expect(report).toBeVisible({ timeout: 120_000 })
  const cells = app.getByRole('table').last()
  await expect(cells.getByText('completed', button)).toHaveCount(2)
  await app.getByRole('button', { name: 'Make weighting.fusion=geometric the baseline' }).click()
  await expect(app.getByRole('row', { name: /geometric.*baseline/ })).toBeVisible()
  await report.click()
  await expect(app.frameLocator('iframe').getByRole('heading', { level: 1 })).toContainText('small fusion')
})
