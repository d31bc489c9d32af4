/** A corpus of a definition: its name, and how it is drawn and read where the YAML says so. */
export interface Mixed {
  name: string
  weight?: number
}

/** What a definition has as its corpora. One name alone stands for a mixture of one. */
export function mixtureIn(value: unknown): Mixed[] {
  if (typeof value === 'string') return [{ name: value }]
  return Array.isArray(value) ? (value as Mixed[]) : []
}

/** The corpora of these names, each with all that the definition said of it before; a bare one is its name. */
export function mixtureOf(names: readonly string[], before: readonly Mixed[]): string | Mixed[] {
  const mixture = names.map((name) => before.find((one) => one.name === name) ?? { name })
  const [only] = mixture
  return only && mixture.length === 1 && Object.keys(only).length === 1 ? only.name : mixture
}
