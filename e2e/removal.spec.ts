import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, rail, test } from './fixtures'

const exact = { exact: true } as const

test('what is removed is asked about where something refers to it, and can be put back at once', async ({
  app,
  host,
}) => {
  const folder = join(host.dataDir, 'library', 'corpora')
  const [id] = readdirSync(folder)
  await rail(app, 'Corpora').click()
  const row = app.getByRole('row', { name: /recipes/ })
  const remove = app.getByRole('button', { name: 'Remove recipes' })
  await remove.click()
  const question = app.getByRole('dialog', { name: 'Remove recipes?' })
  await expect(question.getByRole('listitem').filter({ hasText: 'small' })).toContainText('learns from it')
  await expect(question.getByRole('listitem').filter({ hasText: 'cook' })).toContainText('has learnt from it')
  await question.getByRole('button', { name: 'Cancel' }).click()
  await expect(row).toBeVisible()

  await remove.click()
  await question.getByRole('button', { name: 'Move to the bin' }).click()
  await expect(app.getByText('No corpora yet')).toBeVisible()
  await expect.poll(() => existsSync(join(folder, id!))).toBe(false)
  await app.getByRole('button', { name: 'Undo' }).click()
  await expect(row).toBeVisible()
  expect(existsSync(join(folder, id!, 'documents.jsonl'))).toBe(true)
})

test('a run leads to what it was made from, and a teacher to its students', async ({ app }) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('link', { name: 'small', ...exact }).click()
  await app.getByRole('button', { name: 'Run', ...exact }).click()
  await app.getByRole('tab', { name: 'Lineage' }).click()
  const from = app.getByRole('region', { name: 'Made from' })
  await expect(from.getByRole('listitem')).toHaveText([
    'cook taught it',
    'recipes is what it read',
    'small is what it was started from',
  ])
  await from.getByRole('link', { name: 'cook' }).click()
  await expect(app.getByRole('heading', { level: 1, name: 'Teachers' })).toBeVisible()
  await app.getByRole('button', { name: 'Lineage cook' }).click()
  const lineage = app.getByRole('dialog', { name: 'Lineage of cook' })
  await expect(lineage.getByRole('listitem')).toHaveText([
    'cook is the run that trained it',
    'small is taught by it',
    'small has learnt from it',
  ])
  await lineage.getByRole('link', { name: 'cook' }).click()
  await app.getByRole('tab', { name: 'Lineage' }).click()
  const after = app.getByRole('region', { name: 'What came of it' })
  await expect(after.getByRole('listitem')).toHaveText(['cook is its model in the library'])
})

test('the bin keeps what was removed, puts it back, and deletes for good only when told twice', async ({
  app,
}) => {
  await rail(app, 'Experiments').click()
  await app.getByRole('button', { name: 'Duplicate small' }).click()
  await expect(app.getByRole('heading', { level: 1, name: 'small-copy' })).toBeVisible()
  await app.getByRole('button', { name: 'More' }).click()
  await app.getByRole('menuitem', { name: 'Remove' }).click()
  // Nothing refers to it, so nothing is asked.
  await expect(app.getByRole('heading', { level: 1, name: 'Experiments' })).toBeVisible()
  await expect(app.getByRole('link', { name: 'small-copy' })).toBeHidden()

  await rail(app, 'Settings').click()
  const bin = app.getByRole('region', { name: 'Bin' })
  await bin.getByRole('button', { name: 'Put back small-copy' }).click()
  await expect(bin.getByText('The bin is empty.')).toBeVisible()
  await rail(app, 'Experiments').click()
  await expect(app.getByRole('link', { name: 'small-copy' })).toBeVisible()

  await rail(app, 'Runs').click()
  await app.getByRole('link', { name: 'cook', ...exact }).click()
  await app.getByRole('button', { name: 'More' }).click()
  await app.getByRole('menuitem', { name: 'Remove' }).click()
  await expect(app.getByText('No runs yet')).toBeVisible()
  await rail(app, 'Settings').click()
  await bin.getByRole('button', { name: 'Empty the bin' }).click()
  const question = app.getByRole('dialog', { name: /^Delete all that is in the bin/ })
  await question.getByRole('button', { name: 'Cancel' }).click()
  await expect(bin.getByRole('row', { name: /cook/ })).toBeVisible()
  await bin.getByRole('button', { name: 'Empty the bin' }).click()
  await question.getByRole('button', { name: 'Delete for good' }).click()
  await expect(bin.getByText('The bin is empty.')).toBeVisible()
})

test.describe('with a grid', () => {
  test.use({ library: 'grid' })

  test('runs are archived and removed by the dozen, and those of a grid say so', async ({ app }) => {
    await rail(app, 'Runs').click()
    const select = (name: string) => app.getByRole('checkbox', { name: `Select both: ${name}` }).click()
    await select('tau=1, lambda=0.2')
    await select('tau=1, lambda=0.8')
    await app.getByRole('button', { name: 'More' }).click()
    await app.getByRole('menuitem', { name: 'Archive' }).click()
    await expect(app.getByText('6 of 6')).toBeVisible()
    await app.getByRole('button', { name: '2 archived' }).click()
    await expect(app.getByText('2 of 2')).toBeVisible()
    await select('tau=1, lambda=0.2')
    await app.getByRole('button', { name: 'More' }).click()
    await app.getByRole('menuitem', { name: 'Bring back' }).click()
    await expect(app.getByText('1 of 1')).toBeVisible()
    await app.getByRole('button', { name: 'All but archived' }).click()
    await expect(app.getByText('7 of 7')).toBeVisible()

    await select('tau=1, lambda=0.2')
    await select('tau=2, lambda=0.2')
    await app.getByRole('button', { name: 'More' }).click()
    await app.getByRole('menuitem', { name: 'Remove' }).click()
    const question = app.getByRole('dialog', { name: 'Remove 2 runs?' })
    await expect(question).toContainText('both has its result in a cell')
    await question.getByRole('button', { name: 'Move to the bin' }).click()
    await expect(app.getByText('5 of 5')).toBeVisible()
    await app
      .getByRole('alert')
      .or(app.getByRole('listitem'))
      .getByRole('button', { name: 'Undo' })
      .last()
      .click()
    await expect(app.getByText('7 of 7')).toBeVisible()
  })
})
