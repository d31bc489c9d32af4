import type { Command } from 'commander'
import { VERSION, type SelfTestResult } from '#contract'
import { healthOf, rebuildCatalogue, sweepLeftOvers, takeLock, type Rebuilt } from '../../store'
import { bareJob } from './machine'
import { dataDirOf, report, type GlobalOptions, type Outcome } from './session'

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description("devices, versions, the data directory's health")
    .option(
      '--rebuild',
      'make the catalogue anew from what can be read of it, its last good copy and the folders, and remove left-overs',
    )
    .option('--deep', 'hold every weight, corpus and tokenizer against its recorded digest')
    .action(async (own: { rebuild?: boolean; deep?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      if (own.rebuild) await report(options, async () => rebuild(dataDirOf(options)))
      await report(options, async () => examine(options, own.deep))
    })
}

async function rebuild(dataDir: string) {
  const lock = takeLock(dataDir)
  try {
    const rebuilt = rebuildCatalogue(dataDir)
    const removed = sweepLeftOvers(dataDir)
    const text = [describeRebuilt(rebuilt), ...removed.map((name) => `removed: ${name}, a left-over`)]
    return { json: { ...rebuilt, removed }, text: text.join('\n') }
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

async function examine(options: GlobalOptions, deep?: boolean): Promise<Outcome> {
  const dataDir = dataDirOf(options)
  const problems: string[] = []
  const { backends: found } = await bareJob<SelfTestResult>({ kind: 'self-test' }).catch((error: Error) => {
    problems.push(`the engine does not start: ${error.message}`)
    return { backends: [] as SelfTestResult['backends'] }
  })
  problems.push(...(await healthOf(dataDir, deep)))
  const lines = [
    `Retort ${VERSION}, Node ${process.version}, ${process.platform} ${process.arch}`,
    `data directory: ${dataDir}`,
    ...found.flatMap(({ name, available, version, note, missing = [] }) => [
      [available ? '✓' : '✗', name, version, note].filter(Boolean).join(' '),
      ...missing.map((line) => `    missing ${line}`),
    ]),
    ...(problems.length ? problems.map((problem) => `! ${problem}`) : ['no problems found']),
  ]
  return {
    json: { version: VERSION, dataDir, backends: found, problems },
    text: lines.join('\n'),
    ...(problems.length && { status: 2 as const }),
  }
}
