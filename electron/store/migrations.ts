import { badInput, isRecord, SCHEMA_VERSION, settings } from '#contract'

type Step = (data: Record<string, unknown>) => Record<string, unknown>

/** Entry i takes a catalogue of version i to version i + 1. Version 0 was never released: its file had no version. */
const steps: readonly Step[] = [(data) => ({ ...data, schemaVersion: 1 })]

/** Brings what an older Retort wrote up to date; a newer one's file is refused, not guessed at. */
export function migrate(raw: unknown, file: string): unknown {
  if (!isRecord(raw)) return raw
  let data = raw
  const version = typeof data.schemaVersion === 'number' ? data.schemaVersion : 0
  if (version > SCHEMA_VERSION) {
    throw badInput(`it was written by a newer Retort (schema ${version})`, {
      file,
      field: 'schemaVersion',
      expected: `at most ${SCHEMA_VERSION}; update Retort`,
    })
  }
  for (const step of steps.slice(version)) data = step(data)
  return { ...data, settings: withinBounds(data.settings) }
}

/** Settings were once kept without bounds: one that is beyond them is what it is by default, and nothing else is lost. */
function withinBounds(kept: unknown): unknown {
  if (typeof kept !== 'object' || kept === null) return kept
  const { shape } = settings
  const fits = ([key, value]: [string, unknown]) =>
    !Object.hasOwn(shape, key) || shape[key as keyof typeof shape].safeParse(value).success
  return Object.fromEntries(Object.entries(kept).filter(fits))
}
