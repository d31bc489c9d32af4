import { readFileSync } from 'node:fs'
import { closeMenu, expect, rail, test } from './fixtures'

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

test('charts are drawn over steps, tokens or time, smoothed, logarithmic, and without what is clicked away', async ({
  app,
}) => {
  await app.getByRole('button', { name: 'Run small' }).click()
  await expect(app.getByText('completed', exact)).toBeVisible({ timeout: 90_000 })
  const chart = app.getByRole('region', { name: 'Loss', ...exact })
  await expect(chart).toContainText('step 400')
  const picture = async () => (await chart.locator('canvas').screenshot()).toString('base64')
  const seen = new Set([await picture()])
  const changes = async (how: () => Promise<void>) => {
    await how()
    await expect.poll(async () => seen.has(await picture())).toBe(false)
    seen.add(await picture())
  }
  const choose = async (box: string, option: string) => {
    await app.getByRole('combobox', { name: box }).click()
    await app.getByRole('option', { name: option }).click()
  }
  await changes(() => choose('Over', 'tokens'))
  // 400 steps of 4 sequences of 24 tokens.
  await expect(chart).toContainText('38.40 k tokens')
  await changes(() => choose('Smoothing', 'much'))
  await changes(() => app.getByRole('checkbox', { name: 'Logarithmic' }).click())
  const kd = chart.getByRole('button', { name: /^kd/ })
  await changes(() => kd.click())
  await expect(kd).toHaveAttribute('aria-pressed', 'false')
  const last = await picture()
  // What the address says outlives a reload; who is hidden does not.
  await app.reload()
  await expect(chart).toContainText('38.40 k tokens')
  await kd.click()
  await expect.poll(picture).toBe(last)

  const file = app.waitForEvent('download')
  await chart.getByRole('button', { name: 'Save Loss' }).click()
  await app.getByRole('menuitem', { name: 'Save as SVG' }).click()
  const svg = readFileSync(await (await file).path(), 'utf8')
  expect(svg).toContain('>training tokens</text>')
  expect(svg).toContain('>nats/token</text>')
})

test('a chart is zoomed along either axis, and shown as large as the window', async ({ app }) => {
  await app.getByRole('button', { name: 'Run small' }).click()
  await expect(app.getByText('completed', exact)).toBeVisible({ timeout: 90_000 })
  const chart = app.getByRole('region', { name: 'Loss', ...exact })
  const other = app.getByRole('region', { name: 'Gradient norm' })
  await expect(chart).toContainText('step 400')
  const pictureOf = async (one: typeof chart) => (await one.locator('canvas').screenshot()).toString('base64')
  const over = chart.locator('.u-over')
  const leave = () => app.getByRole('heading', { level: 1 }).hover()
  await leave()
  const [whole, beside] = [await pictureOf(chart), await pictureOf(other)]
  await over.scrollIntoViewIfNeeded()
  const { x, y, height } = (await over.boundingBox())!
  await app.mouse.move(x + 100, y + 0.2 * height)
  await app.mouse.down()
  await app.mouse.move(x + 103, y + 0.5 * height, { steps: 5 })
  await app.mouse.up()
  await leave()
  await expect.poll(() => pictureOf(chart)).not.toBe(whole)
  // Its values are its own: other charts share the steps alone.
  expect(await pictureOf(other)).toBe(beside)
  await over.dblclick()
  await leave()
  await expect.poll(() => pictureOf(chart)).toBe(whole)

  await chart.getByRole('button', { name: 'Enlarge Loss' }).click()
  const dialog = app.getByRole('dialog', { name: 'Loss' })
  const large = await dialog.locator('canvas').boundingBox()
  expect(large!.height).toBeGreaterThan(2 * height)
  await app.keyboard.press('Escape')
  await expect(dialog).toBeHidden()
})

test.describe('with a grid', () => {
  test.use({ library: 'grid' })

  test('a comparison is sorted by any metric, and its charts are in sight beside its table', async ({
    app,
  }) => {
    await rail(app, 'Runs').click()
    const boxes = app.getByRole('checkbox', { name: /^Select both/ })
    await expect(boxes).toHaveCount(4)
    for (const box of await boxes.all()) await box.click()
    await app.getByRole('button', { name: 'Compare', ...exact }).click()
    const table = app.getByRole('table', { name: 'Metrics' })
    await expect(table.getByRole('row')).toHaveCount(5)
    const perplexities = async () => {
      const rows = await table.getByRole('row').all()
      const cells = await Promise.all(rows.slice(1).map((row) => row.getByRole('cell').nth(1).innerText()))
      return cells.map((cell) => parseFloat(cell.replace(',', '')))
    }
    const head = table.getByRole('columnheader', { name: 'Perplexity' })
    const rising = (await perplexities()).toSorted((a, b) => a - b)
    await head.getByRole('button').click()
    await expect(head).toHaveAttribute('aria-sort', 'ascending')
    expect(await perplexities()).toEqual(rising)
    await head.getByRole('button').click()
    expect(await perplexities()).toEqual(rising.toReversed())
    await expect(app.getByRole('region', { name: 'Held-out perplexity' })).toBeInViewport()
  })

  test('a run keeps its colour when another one leaves the comparison', async ({ app }) => {
    await rail(app, 'Compare').click()
    const table = app.getByRole('table', { name: 'Metrics' })
    const choose = async (...names: string[]) => {
      await app.getByLabel('Runs to compare').click()
      for (const name of names) await app.getByRole('option', { name }).click()
      await closeMenu(app)
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
