import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { expect, rail, root, small, test } from './fixtures'

test('a run that a terminal starts beside the open app is seen in it at once, and to its end', async ({
  app,
  host,
}) => {
  await rail(app, 'Runs').click()
  const file = join(host.dataDir, 'terminal.yaml')
  writeFileSync(
    file,
    stringify({ ...small, name: 'from the terminal', train: { ...small.train, steps: 60 } }),
  )
  const command = ['--import', 'tsx', 'electron/hosts/cli/index.ts', 'run', file, '--data-dir', host.dataDir]
  const child = spawn(process.execPath, command, { cwd: root })
  const said = { out: '', error: '' }
  child.stdout.on('data', (data) => (said.out += String(data)))
  const handed = new Promise<void>((resolve) => {
    child.stderr.on('data', (data) => {
      said.error += String(data)
      if (said.error.includes('the app that is open')) resolve()
    })
  })
  const ended = once(child, 'close')
  await handed
  const began = performance.now()
  const link = app.getByRole('link', { name: 'from the terminal', exact: true })
  await expect(link).toBeVisible()
  test.info().annotations.push({
    type: 'seconds until it is seen',
    description: `${(performance.now() - began) / 1000}`,
  })
  await link.click()
  await expect(app.getByRole('region', { name: 'Loss' })).toContainText(/step \d+/)
  const [status] = (await ended) as [number]
  expect(status, said.error).toBe(0)
  expect(said.out).toMatch(/from the terminal .*: completed at step 60/)
  await expect(app.getByText('completed', { exact: true })).toBeVisible()
})
