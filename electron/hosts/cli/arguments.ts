import { InvalidArgumentError, Option } from 'commander'
import { backends } from '#contract'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number above 0')
  return value
}

/** A count, or `auto`: it is found out. */
export function countOrAuto(text: string): number | 'auto' {
  return text === 'auto' ? text : positiveInteger(text)
}

/** A count that may be 0. */
export function wholeNumber(text: string): number {
  return text === '0' ? 0 : positiveInteger(text)
}

export function nonNegative(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('expected a number that is not negative')
  return value
}

/** What computes. Where it is not given, the setting says. */
export function backendOption(): Option {
  return new Option('--backend <name>', 'what computes; default: the setting').choices([...backends])
}
