import type { Command } from 'commander'
import type { DisagreementPage, Prediction } from '#contract'
import { show } from '../../services/report'
import { wholeNumber } from './arguments'
import { controlOf, perform, type GlobalOptions } from './session'
import { formatTable } from './terminal'

/** Tokens that the table for a person lists. */
const LISTED = 20

export function disagreementCommand(program: Command): void {
  program
    .command('disagreement')
    .description('where the teachers of a run disagree on held-out text, and what its student says there')
    .argument('<run>', 'name or id')
    .option('--corpus <corpus>', "one of the run's; default: its first")
    .option('--document <n>', 'the first of the held-out documents to read, counted from 0', wholeNumber, 0)
    .action(async (id: string, own: { corpus?: string; document: number }, command: Command) => {
      // Nothing of the catalogue changes: an open app is not in the way.
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async (session) => {
        const query = { id, corpus: own.corpus, first: own.document }
        const page = await session.rooms.disagreement.read(query, controlOf(session))
        return { json: page, text: toText(page) }
      })
    })
}

function toText({ corpus, documents, teachers, tau, step }: DisagreementPage): string {
  const tokens = documents.flatMap(({ document, tokens, pieces }) =>
    tokens.map((token, place) => ({ ...token, document, place, pieces })),
  )
  const apart = tokens
    .filter(({ uncounted }) => !uncounted)
    .sort((a, b) => b.disagreement - a.disagreement)
    .slice(0, LISTED)
  const table = formatTable(
    ['document', 'token', 'text', 'D', ...teachers.map((name) => `${name} (alpha)`), 'student'],
    apart.map(({ document, place, id, pieces, disagreement, alpha, teachers: said, student }) => {
      const first = ({ top }: Prediction) => `${JSON.stringify(pieces[top[0]![0]])} ${show(top[0]![1])}`
      return [
        String(document),
        String(place),
        JSON.stringify(pieces[id]),
        show(disagreement),
        ...said.map((prediction, k) => `${first(prediction)} (${show(alpha[k]!)})`),
        first(student),
      ]
    }),
  )
  const most = Math.log(teachers.length)
  const scale = `D in nats, 0 to ${show(most)}, at tau = ${tau}; the student of step ${step}`
  return [`The most disagreed tokens of corpus ${corpus}: ${scale}`, '', table].join('\n')
}
