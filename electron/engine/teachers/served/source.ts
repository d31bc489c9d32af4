import { join } from 'node:path'
import { z } from 'zod'
import {
  failed,
  parse,
  SCHEMA_VERSION,
  servedModelConfig,
  type ServedModelConfig,
  type Teacher,
} from '#contract'
import { readJson, sha256File } from '../../../files'
import { tf } from '../../backend/tf'
import { checkDigest, SERVED_FILE } from '../../model/modelFolder'
import type { TeacherSource } from '../source'
import { alike, ServedClient, spread } from './client'
import type { Alternatives } from './dialects'
import { Server } from './http'
import { openServedText } from './text'

/** What its answers depend on, and one of them: a sequence, and what the server said of it at the import: ids with log-probabilities. */
export const servedProbe = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  ...servedModelConfig.pick({
    url: true,
    model: true,
    dialect: true,
    k: true,
    ids: true,
    late: true,
    vocab: true,
  }).shape,
  asked: z.array(z.number().int()),
  said: z.array(z.array(z.tuple([z.number().int(), z.number()]))),
})

/**
 * A teacher behind a server, asked before a graph. Whoever answers there has to answer as at the import.
 *
 * @param time tokens a sequence
 * @throws failed when the server answers otherwise, or not at all
 */
export async function openServedTeacher(dataDir: string, row: Teacher, time: number): Promise<TeacherSource> {
  const model = row.model as ServedModelConfig
  const file = join(dataDir, 'library', 'teachers', row.id, SERVED_FILE)
  const changed = `the description of teacher "${row.name}" has changed since it joined the library; import it again`
  checkDigest(await sha256File(file), { digest: row.digest, changed }, file)
  const { asked, said } = parse(servedProbe, readJson(file), file)
  const client = new ServedClient(new Server(model), model, await openServedText(dataDir, row.tokenizer))
  const now = await client.ask(asked)
  if (!now.every((one, t) => alike(one, new Map(said[t]))))
    throw failed(
      `server ${model.url}, model "${model.model}": it answers otherwise than at the import of teacher "${row.name}"; expected the same model (import it again)`,
    )
  return servedSource(client, row, time)
}

/** @param time tokens a sequence */
export function servedSource(client: ServedClient, row: Teacher, time: number): TeacherSource {
  const { vocab } = row.model
  /** Answers on their way, by their sequence. */
  let ahead = new Map<string, Promise<Alternatives[]>>()
  let last: Alternatives[] = []
  const sequencesOf = (inputs: Int32Array) =>
    Array.from({ length: inputs.length / time }, (_, i) => inputs.subarray(i * time, (i + 1) * time))
  const ask = (ids: Int32Array) => {
    const answer = client.ask([...ids])
    // Its failure is told to whoever awaits it.
    answer.catch(() => {})
    return answer
  }
  return {
    row,
    announce(inputs) {
      const sequences = sequencesOf(inputs)
      client.allow(sequences.length, time)
      ahead = new Map(sequences.map((ids) => [ids.join(), ask(ids)]))
    },
    async prepare(inputs) {
      const sequences = sequencesOf(inputs)
      const fresh = sequences.filter((ids) => !ahead.has(ids.join()))
      if (fresh.length) client.allow(fresh.length, time)
      const answers = sequences.map((ids) => ahead.get(ids.join()) ?? ask(ids))
      last = (await Promise.all(answers)).flat()
    },
    server: () => client.health(row.name),
    signal(tokens) {
      if (tokens.size !== last.length)
        throw failed(`teacher "${row.name}" is asked for tokens that it has not read`)
      const table = new Float32Array(last.length * vocab)
      for (const [t, said] of last.entries()) spread(said, vocab, table.subarray(t * vocab, (t + 1) * vocab))
      return { logits: tf.tensor2d(table, [last.length, vocab]), hidden: [] }
    },
    dispose() {
      ahead.clear()
      last = []
    },
  }
}
