import { badInput, isRecord } from '#contract'

/** Steps of a `tokenizer.json` that look for a pattern. */
const LOOKING = ['Replace', 'Split']

/** Where a `tokenizer.json` has steps, and under which name a sequence of them holds its own. */
const STEPS = { normalizer: 'normalizers', pre_tokenizer: 'pretokenizers', decoder: 'decoders' } as const

/**
 * Refuses a step whose pattern is none: the library that reads these files says so on the console and goes on without
 * it, which makes other tokens.
 *
 * @throws bad-input that names the step
 */
export function checkPatterns(json: Record<string, unknown>, file: string): void {
  for (const [place, inside] of Object.entries(STEPS)) {
    const left: { step: unknown; field: string }[] = [{ step: json[place], field: place }]
    for (let next = left.pop(); next; next = left.pop()) {
      const { step, field } = next
      if (!isRecord(step)) continue
      const { [inside]: own, pattern, type } = step
      if (type === 'Sequence' && Array.isArray(own))
        left.push(...own.map((step, i) => ({ step, field: `${place}.${inside}.${i}` })))
      if (!LOOKING.includes(String(type)) || isPattern(pattern)) continue
      throw badInput(`a step "${String(type)}" has no pattern that can be looked for`, {
        file,
        field: `${field}.pattern`,
        expected: '{ "String": … } or { "Regex": … }',
      })
    }
  }
}

function isPattern(pattern: unknown): boolean {
  if (!isRecord(pattern)) return false
  const [name, value] = Object.entries(pattern)[0] ?? []
  return (name === 'String' || name === 'Regex') && typeof value === 'string'
}
