import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { badInput, type GridFigure, type gridExportFormats } from '#contract'
import { writeFileAtomic } from '../../files'
import { readYaml } from '../../services/experiments'
import { readDefinition } from './runs'
import { perform, type GlobalOptions } from './session'

export interface ExportOptions {
  format: (typeof gridExportFormats)[number]
  out?: string
  metric?: string
  baseline?: string
  rows?: string
  columns?: string
  figure: GridFigure
  standalone?: boolean
}

/** Writes a grid's results to a file; beside an open app too. */
export async function exportGrid(grid: string, own: ExportOptions, options: GlobalOptions): Promise<void> {
  await perform(options, 'read', async ({ services }) => {
    const { format, out, metric, baseline, rows, columns, figure, standalone } = own
    checkStandalone(standalone, format === 'latex', '--export')
    if (out === undefined) throw badInput('where to?', { field: '--out', expected: 'a file' })
    const file = outputFile(out)
    const name = nameOf(grid)
    const id = (await services.call('grids.list', {})).find((row) => row.name === name)?.id ?? name
    const { content } = await services.call('grids.export', {
      id,
      format,
      figure,
      metric,
      baseline,
      rows,
      columns,
      standalone,
    })
    writeFileAtomic(file, content)
    const bytes = Buffer.byteLength(content)
    return { json: { file, bytes }, text: `${file}: ${bytes} bytes` }
  })
}

/** @throws bad-input of a document that is asked for in another format than LaTeX */
export function checkStandalone(standalone: boolean | undefined, latex: boolean, option: string): void {
  if (standalone && !latex)
    throw badInput('only LaTeX has parts and whole documents', {
      field: '--standalone',
      expected: `${option} of LaTeX`,
    })
}

/** @throws bad-input when its folder is not there */
export function outputFile(out: string): string {
  const file = resolve(out)
  if (!existsSync(dirname(file)))
    throw badInput('there is no such folder', { file: dirname(file), field: '--out' })
  return file
}

/** The grid's own file stands for its name. */
function nameOf(grid: string): string {
  if (!existsSync(grid)) return grid
  const { name } = readYaml(readDefinition(grid), grid) as { name?: unknown }
  if (typeof name === 'string') return name
  throw badInput('the grid has no name', { file: grid, field: 'name', expected: 'a name' })
}
