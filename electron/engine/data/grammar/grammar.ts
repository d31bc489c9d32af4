import type { Random } from '../../random'

/**
 * A probabilistic context-free grammar whose rules are short templates. In a template `{name}` stands for a rule,
 * `{x=name}` remembers what the rule gave, and `{x}` with a remembered name repeats it at no cost in information.
 * An alternative has weight 1 unless it is a pair [template, weight].
 */
export type Rules = Readonly<Record<string, readonly (string | readonly [string, number])[]>>

type Part = { text: string } | { rule: string; remember?: string } | { repeat: string }

interface Alternative {
  parts: Part[]
  probability: number
}

export interface Grammar {
  rules: ReadonlyMap<string, Alternative[]>
}

/** @throws Error for a template that names what does not exist: a mistake in the grammar, not in any input */
export function compileGrammar(rules: Rules): Grammar {
  const compiled = new Map<string, Alternative[]>()
  for (const [name, alternatives] of Object.entries(rules)) {
    const weighted = alternatives.map((a) => (typeof a === 'string' ? ([a, 1] as const) : a))
    const total = weighted.reduce((sum, [, weight]) => sum + weight, 0)
    compiled.set(
      name,
      weighted.map(([template, weight]) => ({
        parts: compileTemplate(template, name, rules),
        probability: weight / total,
      })),
    )
  }
  return { rules: compiled }
}

function compileTemplate(template: string, rule: string, rules: Rules): Part[] {
  const remembered = new Set<string>()
  return template.split(/(\{[^}]*\})/).flatMap((piece): Part[] => {
    if (!piece.startsWith('{')) return piece ? [{ text: piece }] : []
    const [left, right] = piece.slice(1, -1).split('=') as [string, string?]
    if (right === undefined && remembered.has(left)) return [{ repeat: left }]
    const name = right ?? left
    if (!Object.hasOwn(rules, name)) throw new Error(`rule ${rule} names ${name}, which does not exist`)
    if (right !== undefined) remembered.add(left)
    return [{ rule: name, remember: right === undefined ? undefined : left }]
  })
}

export interface Derived {
  text: string
  /** -log2 of the derivation's probability. */
  bits: number
}

/** Draws a text of `rule`. */
export function derive(grammar: Grammar, rule: string, random: Random): Derived {
  let bits = 0
  function expand(name: string): string {
    const alternatives = grammar.rules.get(name)!
    const alternative = choose(alternatives, random)
    bits -= Math.log2(alternative.probability)
    const remembered = new Map<string, string>()
    let text = ''
    for (const part of alternative.parts) {
      if ('text' in part) text += part.text
      else if ('repeat' in part) text += remembered.get(part.repeat)!
      else {
        const inner = expand(part.rule)
        if (part.remember) remembered.set(part.remember, inner)
        text += inner
      }
    }
    return text
  }
  const text = expand(rule)
  return { text, bits }
}

function choose(alternatives: readonly Alternative[], random: Random): Alternative {
  let draw = random.next()
  for (const alternative of alternatives) {
    draw -= alternative.probability
    if (draw < 0) return alternative
  }
  return alternatives[alternatives.length - 1]!
}

export interface Expectation {
  /** Expected -log2 probability of a derivation: its entropy. */
  bits: number
  /** Expected UTF-8 bytes of its text. */
  bytes: number
}

/**
 * Expected bits and bytes of every rule, from the rules alone: both are linear in those of the rules they name, so
 * fixed-point iteration converges wherever derivations end with probability 1.
 */
export function expectations(grammar: Grammar): Map<string, Expectation> {
  const result = new Map<string, Expectation>(
    [...grammar.rules.keys()].map((name) => [name, { bits: 0, bytes: 0 }]),
  )
  for (let change = Infinity, round = 0; change > 1e-12 && round < 10_000; round++) {
    change = 0
    for (const [name, alternatives] of grammar.rules) {
      const next = { bits: 0, bytes: 0 }
      for (const { parts, probability } of alternatives) {
        const own = expectParts(parts, result)
        next.bits += probability * (own.bits - Math.log2(probability))
        next.bytes += probability * own.bytes
      }
      const before = result.get(name)!
      change = Math.max(change, Math.abs(next.bits - before.bits), Math.abs(next.bytes - before.bytes))
      result.set(name, next)
    }
  }
  return result
}

function expectParts(parts: readonly Part[], of: ReadonlyMap<string, Expectation>): Expectation {
  const sum = { bits: 0, bytes: 0 }
  const remembered = new Map<string, number>()
  for (const part of parts) {
    if ('text' in part) sum.bytes += Buffer.byteLength(part.text)
    else if ('repeat' in part) sum.bytes += remembered.get(part.repeat)!
    else {
      const inner = of.get(part.rule)!
      if (part.remember) remembered.set(part.remember, inner.bytes)
      sum.bits += inner.bits
      sum.bytes += inner.bytes
    }
  }
  return sum
}
