import { ESLint } from 'eslint'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
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

/** Every module below a folder with those of ours that it imports: types count, which lint's no-cycle leaves out. */
function importsBelow(folder: string): Map<string, string[]> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|vue)$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name))
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true)
      return [file, importedFiles.flatMap(({ fileName }) => located(fileName, dirname(file)) ?? [])]
    }),
  )
}

function located(name: string, from: string): string | undefined {
  if (!name.startsWith('.')) return undefined
  const path = resolve(from, name)
  return [path, `${path}.ts`, join(path, 'index.ts')].find((one) => existsSync(one) && statSync(one).isFile())
}

/** A circle of imports, as the names of its modules; undefined when there is none. */
function circle(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const next of imports.get(file) ?? []) {
      const found = visit(next, [...path, file])
      if (found) return found
    }
    done.add(file)
    return undefined
  }
  for (const file of imports.keys()) {
    const found = visit(file, [])
    if (found) return found.map((one) => relative(root, one))
  }
  return undefined
}

describe('circles', () => {
  it('are found, through types too', () => {
    const imports = { a: ['b'], b: ['c', 'd'], c: [], d: ['b'] }
    expect(circle(new Map(Object.entries(imports)))?.slice(1)).toHaveLength(2)
    expect(
      ts.preProcessFile("import type { A } from './a'\nexport type { B } from './b'").importedFiles,
    ).toHaveLength(2)
  })

  it.each(['electron', 'renderer/src', 'e2e'])('there are none in %s', (folder) => {
    const imports = importsBelow(join(root, folder))
    expect(imports.size).toBeGreaterThan(5)
    expect(circle(imports)).toBeUndefined()
  })
})
