import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { VERSION, type SelfTestResult } from '#contract'
import { rebuildCatalogue, RunFolder, takeLock, type Rebuilt } from '../../store'
import { bareJob } from './machine'
import { dataDirOf, report, type GlobalOptions } from './session'

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description("devices, versions, the data directory's health")
    .option(
      '--rebuild',
      'make the catalogue anew from what can be read of it, its last good copy and the folders',
    )
    .action(async (own: { rebuild?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      if (own.rebuild) await report(options, async () => rebuild(dataDirOf(options)))
      await report(options, async () => examine(options))
    })
}

async function rebuild(dataDir: string) {
  const lock = takeLock(dataDir)
  try {
    const rebuilt = rebuildCatalogue(dataDir)
    return { json: rebuilt, text: describeRebuilt(rebuilt) }
  } finally {
    lock.release()
  }
}

function describeRebuilt({ runs, library, kept, rebuilt, dropped, problems, aside }: Rebuilt): string {
  const name = ({ list, id }: { list?: string; id?: string }) =>
    [list ?? 'a row', id].filter(Boolean).join(' ')
  const counts = new Map<string, number>()
  for (const { list = '' } of kept) counts.set(list, (counts.get(list) ?? 0) + 1)
  const lines = [
    `catalogue made anew: ${runs} runs, ${library} rows of the library`,
    `kept: ${[...counts].map(([list, count]) => `${list} ${count}`).join(', ') || 'nothing'}`,
    ...rebuilt.map(({ from, ...row }) => `rebuilt: ${name(row)}, from ${from}`),
    ...dropped.map(({ why, ...row }) => `dropped: ${name(row)}: ${why}`),
    ...problems,
  ]
  if (aside) lines.push(`the old one is kept as ${aside}`)
  return lines.join('\n')
}

async function examine(options: GlobalOptions) {
  const dataDir = dataDirOf(options)
  const problems: string[] = []
  const { backends: found } = await bareJob<SelfTestResult>({ kind: 'self-test' }).catch((error: Error) => {
    problems.push(`the engine does not start: ${error.message}`)
    return { backends: [] as SelfTestResult['backends'] }
  })
  problems.push(...healthOf(dataDir))
  const lines = [
    `Retort ${VERSION}, Node ${process.version}, ${process.platform} ${process.arch}`,
    `data directory: ${dataDir}`,
    ...found.flatMap(({ name, available, version, note, missing = [] }) => [
      [available ? '✓' : '✗', name, version, note].filter(Boolean).join(' '),
      ...missing.map((line) => `    missing ${line}`),
    ]),
    ...(problems.length ? problems.map((problem) => `! ${problem}`) : ['no problems found']),
  ]
  return { json: { version: VERSION, dataDir, backends: found, problems }, text: lines.join('\n') }
}

/** Looks without a lock and changes nothing. */
function healthOf(dataDir: string): string[] {
  const problems: string[] = []
  const folder = join(dataDir, 'runs')
  const ids = existsSync(folder) ? readdirSync(folder) : []
  for (const id of ids) {
    try {
      const run = new RunFolder(dataDir, id)
      if (!run.exists) problems.push(`runs/${id}: no config.json`)
      else if (run.metrics().torn)
        problems.push(`runs/${id}: the last line of metrics.jsonl is torn; it is left out`)
      run.config()
      run.checkpoints()
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  return problems
}
