import type { Command } from 'commander'
import { badInput } from '#contract'
import { show } from '../../services/report'
import { perform, type GlobalOptions } from './session'
import { duration, formatTable } from './terminal'

export function cacheCommands(program: Command): void {
  const cache = program.command('cache').description("the teachers' outputs that runs share")
  cache
    .command('list')
    .description('what is kept, the longest unused first')
    .action(async (_: object, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'read', async ({ rooms }) => {
        const entries = rooms.cache.list()
        const total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
        const table = formatTable(
          ['key', 'teacher', 'corpora', 'split', 'MB', 'hits', 'age', 'unused for', 'in use'],
          entries.map((entry) => [
            entry.key.slice(0, 12),
            entry.teacher,
            entry.corpora.join('+'),
            entry.split,
            megabytes(entry.bytes),
            String(entry.hits),
            since(entry.createdAt),
            since(entry.usedAt),
            entry.inUse ? 'yes' : '',
          ]),
        )
        const text = entries.length ? `${table}\n\n${megabytes(total)} MB` : 'the cache is empty'
        return { json: { entries, bytes: total }, text }
      })
    })
  cache
    .command('clear')
    .description('removes what no waiting or running run reads: all of it, or the keys given')
    .argument('[keys...]', 'keys, or their beginnings')
    .action(async (beginnings: string[], _: object, command: Command) => {
      await perform(command.optsWithGlobals<GlobalOptions>(), 'write', async ({ rooms }) => {
        const known = rooms.cache.list().map(({ key }) => key)
        const keys = beginnings.flatMap((beginning) => {
          const found = known.filter((key) => key.startsWith(beginning))
          if (found.length) return found
          throw badInput(`the cache has no entry "${beginning}"`, {
            expected: '`retort cache list` shows them',
          })
        })
        const cleared = rooms.cache.clear(beginnings.length ? keys : undefined)
        const left = cleared.inUse ? `; ${cleared.inUse} in use stay` : ''
        const text = `${cleared.removed} entries removed, ${megabytes(cleared.bytes)} MB${left}`
        return { json: cleared, text }
      })
    })
}

const megabytes = (bytes: number) => show(bytes / 2 ** 20)
const since = (at: string) => duration((Date.now() - Date.parse(at)) / 1000)
