import { servedDialects, type ServedDialect } from '#contract'
import { ServedClient } from '../engine/teachers/served/client'
import { parseAnswer, Server } from '../engine/teachers/served/http'
import { letters } from '../engine/teachers/served/testing'
import { ServedText } from '../engine/teachers/served/text'
import type { Reader } from './harness'
import { json } from './mutate'

const VOCAB = 8
const URL = 'http://127.0.0.1/v1'
const IDS = [3, 1, 2]
/** What follows each token of the prompt, which has one more than is asked of. */
const AT = [null, ...[1, 2, 2].map((id) => ({ [id]: -0.5, 5: -2, 6: -3 }))]

const answers: Record<ServedDialect, unknown> = {
  vllm: {
    usage: { prompt_tokens: 4 },
    choices: [
      {
        text: '',
        prompt_logprobs: AT.map(
          (said) =>
            said &&
            Object.fromEntries(Object.entries(said).map(([id, logprob]) => [id, { logprob, rank: 1 }])),
        ),
      },
    ],
  },
  sglang: {
    text: '',
    meta_info: {
      prompt_tokens: 4,
      input_token_logprobs: [3, 1, 2, 2].map((id, i) => [i ? -0.5 : null, id, null]),
      input_top_logprobs: AT.map(
        (said) => said && Object.entries(said).map(([id, p]) => [p, Number(id), null]),
      ),
    },
  },
  completions: {
    usage: { prompt_tokens: 4 },
    choices: [
      {
        text: 'cabb',
        logprobs: {
          tokens: [...'cabb'],
          top_logprobs: AT.map((said) => said && { a: said[1] ?? -2, b: said[2] ?? -2, e: -2 }),
        },
      },
    ],
  },
}

/** What servers answer, whatever they answer: read, or not believed in our words. */
export const servedReaders: Reader[] = servedDialects.map((dialect) => ({
  name: `served-${dialect}`,
  seeds: [Buffer.from(JSON.stringify(answers[dialect]))],
  mutate: json,
  quick: 600,
  read(input) {
    const ask = () => Promise.resolve(parseAnswer(Buffer.from(input).toString('utf8'), URL))
    const limits = { concurrency: 1, timeout: 1 }
    const teacher = { vocab: VOCAB, url: URL, model: 'm', dialect, k: 3, ids: true, late: false, limits }
    const server = Object.assign(new Server({ url: URL, limits }), { ask })
    return new ServedClient(server, teacher, new ServedText(letters(VOCAB))).ask(IDS)
  },
}))
