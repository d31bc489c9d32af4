import { z } from 'zod'
import { badInput } from './errors'

/** How a server says what it thinks of a prompt's tokens. */
export const servedDialects = ['vllm', 'sglang', 'completions'] as const
export type ServedDialect = (typeof servedDialects)[number]

const size = z.number().int().positive()

/** Where the key of a server is found: the key itself stands in no row, definition, log or message. */
export const servedKey = z.union([
  /** A variable of the environment. */
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a variable of the environment') }),
  /** A file that its owner alone can read; its first line. */
  z.strictObject({ file: z.string().min(1) }),
])
export type ServedKey = z.output<typeof servedKey>

export const servedLimits = z
  .strictObject({
    /** Requests at a time. */
    concurrency: size.max(256).default(4),
    /** Requests begun in a minute; absent: as many as are answered. */
    perMinute: size.optional(),
    /** Seconds that an answer may take. */
    timeout: z.number().positive().max(3600).default(120),
    /** Tokens that a run may ask from its start, or from where it was resumed, to its end; then it stops. */
    tokens: size.optional(),
    /** Of a million tokens, in whatever money. */
    price: z.number().positive().optional(),
    /** What a run's tokens may cost at that price; then it stops, as with `tokens`. */
    cost: z.number().positive().optional(),
  })
  .refine(({ price, cost }) => cost === undefined || price !== undefined, {
    path: ['price'],
    message: 'a bound of cost needs the price of a million tokens',
  })
export type ServedLimits = z.output<typeof servedLimits>

/** What an import found out of a server. */
export const servedCheck = z.strictObject({
  /** Alternatives that it names for a token, and the share of the probability that they have. */
  k: size,
  covered: z.number(),
  tokensPerSecond: z.number().optional(),
})

/** Tokens that a run may ask by these limits; infinite without a bound. */
export function mostTokens({ tokens = Infinity, price, cost }: ServedLimits): number {
  return price && cost ? Math.min(tokens, Math.floor((1e6 * cost) / price)) : tokens
}

/** How a server does in a run. */
export const serverHealth = z.object({
  /** The teacher's name. */
  teacher: z.string(),
  /** Of prompts that were answered. */
  tokens: z.number().int(),
  answers: z.number().int(),
  /** Requests that were asked again, as the server was busy, ill or out of reach. */
  retries: z.number().int(),
  /** Why the last of these was. */
  lastError: z.string().optional(),
  lastAnswerAt: z.iso.datetime().optional(),
  /** Since the first request. */
  tokensPerSecond: z.number(),
  /** At the price that the teacher has. */
  cost: z.number().optional(),
})
export type ServerHealth = z.output<typeof serverHealth>

/**
 * A teacher behind a server: of each token it says the `k` likeliest next ones. The rest of the probability is one
 * bucket, spread evenly over the tokens that were not named.
 */
export const servedModelConfig = z.strictObject({
  family: z.literal('served'),
  /** Ids that have a probability: its tokenizer's. */
  vocab: size,
  /** Longest sequence that can be asked; absent where the server does not tell. */
  context: size.optional(),
  /** `http://HOST:PORT/v1` */
  url: z.string(),
  /** Its name there. */
  model: z.string().min(1),
  dialect: z.enum(servedDialects),
  /** Alternatives that it names for a token. */
  k: size,
  /** Whether it takes token ids; else text, and names alternatives by their text. */
  ids: z.boolean(),
  /** Whether an answer stands one place late, beside the token it follows. */
  late: z.boolean(),
  key: servedKey.optional(),
  limits: servedLimits,
})
export type ServedModelConfig = z.output<typeof servedModelConfig>

/** What the user says of a server at the import. */
export const servedImport = z.strictObject({
  model: z.string().min(1),
  key: servedKey.optional(),
  /** Default: as many as the server gives, at most 128. */
  topK: size.max(1024).optional(),
  limits: servedLimits.prefault({}),
})
export type ServedImport = z.output<typeof servedImport>

/** Whether a teacher's path is the address of a server. */
export function isServedUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path)
}

/**
 * An address without a slash at its end.
 *
 * @throws bad-input when it is not of HTTP, or holds a name, a password or a query
 */
export function parseServedUrl(text: string): string {
  const expected = 'http://HOST:PORT/v1 or https://HOST/v1'
  const url = URL.canParse(text) ? new URL(text) : undefined
  // What was given is not repeated: it may hold a password.
  if (!url) throw badInput('this is no address', { field: 'url', expected })
  if (url.username || url.password) {
    throw badInput('an address holds no name and no password', {
      field: 'url',
      expected: `${expected}, and the key by --key-env or --key-file`,
    })
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw badInput(`${url.protocol}// is no way to ask a server`, { field: 'url', expected })
  if (url.search || url.hash) throw badInput('an address holds no query', { field: 'url', expected })
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}
