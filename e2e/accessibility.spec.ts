import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const
test.use({ library: 'grid', contextOptions: { reducedMotion: 'reduce' } })

/**
 * What axe finds serious or critical on the page, in light and in dark. A rule that axe had to give up counts as found:
 * it checked nothing. `part` leaves the rest of the page out, which a menu hides while it holds the focus.
 */
async function barriers(page: Page, part?: string, without: string[] = []): Promise<string[]> {
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await expect(page.locator('html')).toHaveClass(colorScheme === 'dark' ? /dark/ : /^(?!.*dark)/)
    // A report's frame runs no script, so nothing can look into it.
    const axe = new AxeBuilder({ page }).exclude('iframe')
    if (part) axe.include(part)
    // What it is made of does not depend on the colours.
    if (colorScheme === 'dark') axe.withRules(['color-contrast'])
    else axe.disableRules(without)
    const { violations, incomplete } = await axe.analyze()
    const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    const givenUp = incomplete.filter((rule) => 'error' in rule)
    for (const { id, nodes } of [...grave, ...givenUp])
      found.push(...nodes.map(({ html }) => `${colorScheme}: ${id}: ${html.slice(0, 200)}`))
  }
  return found
}

test('no page and no dialog keeps anybody out, in light or dark', async ({ app }) => {
  test.slow()
  const nothing = async (...of: [part?: string, without?: string[]]) =>
    expect.soft(await barriers(app, ...of), app.url()).toEqual([])
  const visit = async (page: string) => {
    await rail(app, page).click()
    await expect(app.getByRole('heading', { level: 1, name: page })).toBeVisible()
    await expect(app.locator('[aria-busy=true]')).toHaveCount(0)
  }
  const dialog = async (opener: string) => {
    await app.getByRole('button', { name: opener, ...exact }).click()
    await expect(app.getByRole('dialog')).toBeVisible()
    await nothing()
    await app.keyboard.press('Escape')
    await expect(app.getByRole('dialog')).toBeHidden()
  }
  for (const page of ['Experiments', 'Grids', 'Queue', 'Runs', 'Compare', 'Playground']) {
    await visit(page)
    await nothing()
  }
  const dialogs = {
    Teachers: ['Train', 'Import'],
    Corpora: ['Tokenizers', 'Import'],
    Reports: ['Study'],
    Settings: ['Add cluster'],
  }
  for (const [page, openers] of Object.entries(dialogs)) {
    await visit(page)
    await nothing()
    for (const opener of openers) await dialog(opener)
  }
  await app.getByRole('button', { name: 'Find' }).click()
  await expect(app.getByPlaceholder('Find anything')).toBeVisible()
  // Its list scrolls with the arrow keys, the focus staying in the field.
  await nothing(undefined, ['scrollable-region-focusable'])
  await app.keyboard.press('Escape')

  await visit('Experiments')
  await app.getByRole('link', { name: 'small', ...exact }).click()
  await expect(app.getByLabel('Estimate')).toBeVisible()
  await nothing()
  await app.getByRole('button', { name: 'Ablation' }).click()
  await nothing('[role=menu]')
  await app.getByRole('menuitem', { name: 'Distillation temperature' }).click()
  await expect(app.getByRole('dialog').getByLabel('Estimate', exact)).toBeVisible()
  await nothing()
  await app.keyboard.press('Escape')

  await visit('Grids')
  await app.getByRole('link', { name: 'both', ...exact }).click()
  await expect(app.getByRole('table', { name: 'Heatmap' })).toBeVisible()
  await nothing()

  await visit('Runs')
  await app
    .getByRole('link', { name: /^both.*lambda=0.2/ })
    .first()
    .click()
  for (const tab of ['Overview', 'Settings', 'Environment', 'Log', 'Checkpoints']) {
    await app.getByRole('tab', { name: tab }).click()
    await nothing()
  }
  await app.getByRole('button', { name: 'More' }).click()
  await nothing('[role=menu]')
  await app.getByRole('menuitem', { name: 'Report' }).click()
  await expect(app.getByRole('dialog', { name: 'Report' })).toBeVisible()
  await nothing()
  await app.getByRole('button', { name: 'Write report' }).click()
  await expect(app.frameLocator('iframe').getByRole('heading', { level: 1 })).toBeVisible()
  await nothing()

  await visit('Runs')
  for (const box of await app.getByRole('checkbox', { name: /^Select both/ }).all()) await box.click()
  await app.getByRole('button', { name: 'Compare', ...exact }).click()
  await expect(app.getByRole('table', { name: 'Metrics' })).toBeVisible()
  await nothing()
})
