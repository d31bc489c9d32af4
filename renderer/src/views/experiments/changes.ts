import { experiment, isRecord, settingText, type Experiment } from '#contract'

/** A setting that is not what it would be if nothing were said of it. */
export interface Change {
  path: string
  /** In words, as `settingText` has them. */
  own: string
  usual: string
}

/**
 * What an experiment says beyond what it must (name, corpora, teachers, tokenizer and student): where it differs from the
 * defaults, which are those of its method where it names one.
 *
 * @param resolved with its defaults filled in
 */
export function changesOf(resolved: Experiment): Change[] {
  const { name, corpus, teachers, tokenizer, student, method } = resolved
  const usual = experiment.safeParse({ name, corpus, teachers, tokenizer, student, method })
  return usual.success ? differencesOf(resolved, usual.data) : []
}

/** Where two documents differ, setting by setting: `own` of the one, `usual` of the other. */
export const differencesOf = (one: object, other: object): Change[] => [...differences(one, other)]

function* differences(own: object, usual: object, prefix = ''): Generator<Change> {
  const [mine, theirs] = [new Map(Object.entries(own)), new Map(Object.entries(usual))]
  for (const key of new Set([...theirs.keys(), ...mine.keys()])) {
    const [a, b] = [mine.get(key) as unknown, theirs.get(key) as unknown]
    if (isRecord(a) && isRecord(b)) yield* differences(a, b, `${prefix}${key}.`)
    else if (JSON.stringify(a) !== JSON.stringify(b))
      yield { path: `${prefix}${key}`, own: said(a), usual: said(b) }
  }
}

const said = (value: unknown) => (value === undefined ? 'not set' : settingText(value))
