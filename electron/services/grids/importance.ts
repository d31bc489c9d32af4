import { mean } from '#contract'
import { RandomForestRegression } from 'ml-random-forest'

export interface Importance {
  /** Main effect of each axis: its share of the variance, 0..1. */
  main: number[]
  /** The share that no single axis explains. */
  interactions: number
  /** Settings whose value the forest filled in. */
  filledIn: number
}

/**
 * Functional ANOVA over the whole grid (Hutter, Hoos and Leyton-Brown, 2014): the variance of all settings, split into
 * what each axis explains alone and the rest. Settings that are not measured are filled in by a random forest, which
 * is what the paper marginalises; on a complete grid nothing is estimated.
 *
 * @param sizes number of values of each axis
 * @param measured value of the settings that have one, by their indices on the axes
 * @returns undefined with fewer than two settings measured, or when all are equal
 */
export function importanceOf(
  sizes: readonly number[],
  measured: readonly { at: readonly number[]; value: number }[],
): Importance | undefined {
  if (measured.length < 2) return undefined
  const known = new Map(measured.map(({ at, value }) => [at.join(), value]))
  const all = product(sizes)
  const missing = all.filter((at) => !known.has(at.join()))
  const filled = missing.length ? predict(sizes, measured, missing) : []
  missing.forEach((at, i) => known.set(at.join(), filled[i]!))
  const values = all.map((at) => known.get(at.join())!)
  const overall = mean(values)
  const variance = mean(values.map((value) => (value - overall) ** 2))
  if (!(variance > 0)) return undefined
  const main = sizes.map((size, axis) => {
    const marginals = Array.from({ length: size }, (_, index) =>
      mean(values.filter((_, i) => all[i]![axis] === index)),
    )
    return mean(marginals.map((value) => (value - overall) ** 2)) / variance
  })
  const interactions = Math.max(0, 1 - main.reduce((a, b) => a + b, 0))
  return { main, interactions, filledIn: missing.length }
}

/** A column a value: an axis' values have no order that a tree could split by. */
function predict(
  sizes: readonly number[],
  measured: readonly { at: readonly number[]; value: number }[],
  wanted: readonly (readonly number[])[],
): number[] {
  const encode = (at: readonly number[]) =>
    sizes.flatMap((size, axis) => Array.from({ length: size }, (_, i) => Number(at[axis] === i)))
  const forest = new RandomForestRegression({
    seed: 1,
    nEstimators: 100,
    maxFeatures: 1,
    replacement: false,
    noOOB: true,
    treeOptions: { minNumSamples: 1 },
  })
  forest.train(
    measured.map(({ at }) => encode(at)),
    measured.map(({ value }) => value),
  )
  return forest.predict(wanted.map(encode))
}

function product(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (rows, size) => rows.flatMap((row) => Array.from({ length: size }, (_, i) => [...row, i])),
    [[]],
  )
}
