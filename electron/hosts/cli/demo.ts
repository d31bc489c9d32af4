import { type Command } from 'commander'
import { failed } from '#contract'
import type { DemoResult } from '../../services/demo'
import { show } from '../../services/report'
import { perform, type GlobalOptions } from './session'
import { duration, formatTable } from './terminal'

export function demoCommand(program: Command): void {
  program
    .command('demo')
    .description('the embedded main job: three teachers, a student, its baselines, a report')
    .option('--quick', 'less text, smaller models: under a minute')
    .option('--force', 'start also when a run needs more memory than can be had')
    .action(async (own: { quick?: boolean; force?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      await perform(options, 'write', async ({ rooms, progress, signal, services }) => {
        const { row, done } = rooms.tasks.start('Demo', (control) =>
          rooms.demo.run({ quick: own.quick ?? false, force: own.force }, control),
        )
        services.onPush((_, push) => {
          if (push.topic === 'task' && push.task.id === row.id && push.task.status === 'running') {
            progress.show(push.task.phase, push.task.fraction, push.task.secondsLeft)
          }
        })
        signal.addEventListener('abort', () => rooms.tasks.stop(row.id), { once: true })
        const result = await done.catch((error: unknown) => {
          throw signal.aborted ? failed('stopped; what was trained is kept') : error
        })
        return { json: result, text: describe(result, options) }
      })
    })
}

function describe(result: DemoResult, { dataDir }: GlobalOptions): string {
  const corpora = Object.keys(result.floors)
  const students = formatTable(
    ['student', 'method', 'perplexity', 'bits/byte', 'KL to fused', 'agreement', 'tokens/s'],
    result.runs.map((run) => [
      run.name,
      run.method,
      ...[run.perplexity, run.bitsPerByte, run.klToFused, run.agreement, run.tokensPerSecond].map(show),
    ]),
  )
  const matrix = formatTable(
    ['teacher', ...corpora],
    result.matrix.map(({ teacher, perplexity }) => [
      teacher,
      ...corpora.map((c) => show(perplexity[c] ?? null)),
    ]),
  )
  const proposed = result.runs.find(({ method }) => method === 'entropy')
  const alpha = formatTable(
    ['teacher', ...corpora],
    (proposed?.teachers ?? []).map((teacher, k) => [
      teacher,
      ...corpora.map((c) => show(proposed!.alpha[c]?.[k] ?? null)),
    ]),
  )
  const open = `npm start${dataDir ? ` -- --data-dir ${dataDir}` : ''}`
  return [
    'Students, on held-out text (lower perplexity is better):',
    students,
    '',
    'Perplexity of each teacher on each kind of text:',
    matrix,
    '',
    `Mean weight of each teacher (alpha) on each kind of text, ${proposed?.name ?? ''}:`,
    alpha,
    '',
    `True entropy of the text, bits per byte: ${corpora.map((c) => `${c} ${show(result.floors[c]!)}`).join(', ')}`,
    '',
    `Report: ${result.report}`,
    `Done in ${duration(result.seconds)}. Open the app on these runs: ${open}`,
  ].join('\n')
}
