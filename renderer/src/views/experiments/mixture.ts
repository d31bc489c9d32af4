import type { CorpusMixture } from '#contract'

/** How a corpus is drawn and read. */
export type Use = Partial<Omit<CorpusMixture[number], 'name'>>

/** A corpus of a definition: its name, and how it is drawn and read where the YAML says so. */
export interface Mixed extends Use {
  name: string
}

/** What a definition has as its corpora. One name alone stands for a mixture of one. */
export function mixtureIn(value: unknown): Mixed[] {
  if (typeof value === 'string') return [{ name: value }]
  return Array.isArray(value) ? (value as Mixed[]) : []
}

/** The corpora of these names, each with all that the definition said of it before; a bare one is its name. */
export function mixtureOf(names: readonly string[], before: readonly Mixed[]): string | Mixed[] {
  return written(names.map((name) => before.find((one) => one.name === name) ?? { name }))
}

/** The same corpora, one of them used otherwise; what is undefined is left out. */
export function usedAs(mixture: readonly Mixed[], name: string, change: Use): string | Mixed[] {
  const changed = (one: Mixed) =>
    Object.fromEntries(Object.entries({ ...one, ...change }).filter(([, value]) => value !== undefined))
  return written(mixture.map((one) => (one.name === name ? (changed(one) as unknown as Mixed) : one)))
}

function written(mixture: Mixed[]): string | Mixed[] {
  const [only] = mixture
  return only && mixture.length === 1 && Object.keys(only).length === 1 ? only.name : mixture
}
