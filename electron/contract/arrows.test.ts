import { ESLint } from 'eslint'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const eslint = new ESLint({ cwd: root })

/** The rules broken by a file at that place with that text. */
async function broken(file: string, text: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(text, { filePath: resolve(root, file) })
  return result!.messages.map(({ ruleId }) => ruleId)
}
const rule = 'import-x/no-restricted-paths'

describe('the arrows of the house', () => {
  it.each([
    ['electron/engine/probe.ts', "import '../store'"],
    ['electron/engine/probe.ts', "import '../services'"],
    ['electron/store/probe.ts', "import '../engine/worker'"],
    ['electron/services/probe.ts', "import '../engine/random'"],
    ['electron/services/probe.ts', "import '../hosts/nodeWorker'"],
    ['electron/cluster/probe.ts', "import '../services'"],
    ['electron/contract/probe.ts', "import '../files'"],
    ['renderer/src/probe.ts', "import '../../electron/store'"],
  ])('%s may not %s', async (file, text) => {
    expect(await broken(file, text)).toContain(rule)
  })

  it.each([
    ['electron/engine/probe.ts', "import '../files'\nimport '#contract'"],
    ['electron/services/probe.ts', "import '../store'\nimport '../cluster'"],
    ['electron/hosts/cli/probe.ts', "import '../../services'"],
    ['renderer/src/probe.ts', "import '#contract'"],
  ])('%s may %s', async (file, text) => {
    expect(await broken(file, text)).toEqual([])
  })

  it.each([
    ['electron/services/queue/probe.ts', "import '../library/models'"],
    ['electron/services/probe.ts', "import './runs/runs'"],
    ['electron/hosts/cli/probe.ts', "import '../../services/report/plain'"],
  ])('%s may not %s: a room of services has one way in', async (file, text) => {
    expect(await broken(file, text)).toContain(rule)
  })

  it.each([
    ['electron/services/queue/probe.ts', "import '../library'\nimport './order'\nimport '../context'"],
    ['electron/hosts/cli/probe.ts', "import '../../services/report'"],
  ])('%s may %s', async (file, text) => {
    expect(await broken(file, text)).toEqual([])
  })

  it('Electron is known to the desktop host alone', async () => {
    expect(await broken('electron/services/probe.ts', "import 'electron'")).toContain('no-restricted-imports')
    expect(await broken('electron/hosts/desktop/probe.ts', "import 'electron'")).toEqual([])
  })
})
