import {
  badInput,
  experimentFields,
  Faults,
  isRecord,
  sharesVocabulary,
  tokenReadingOf,
  type Experiment,
  type RetortError,
  type RunConfig,
  type RunTeacher,
  type Teacher,
  type Tokenizer,
} from '#contract'
import { findNamed } from '../identity'
import type { LibraryRows } from '../context'
import { readYaml } from './definition'
import { teacherOf } from './teacherOf'

/** A definition's teachers; undefined, with their faults told, where one is not there or not to be had so. */
export function teachersNamed(
  uses: Experiment['teachers'],
  library: LibraryRows,
  file: string | undefined,
  faults: Faults,
): RunTeacher[] | undefined {
  const rows = uses.flatMap(
    (use, i) => faults.attempt(() => teacherOf(use, library, file, `teachers.${i}`)) ?? [],
  )
  return rows.length === uses.length ? rows : undefined
}

/** Corpora and how they are read; undefined, with their faults told, where one is not there or cannot be read so. */
export function corporaNamed(
  mixture: Experiment['corpus'],
  { corpora }: LibraryRows,
  file: string | undefined,
  faults: Faults,
): RunConfig['corpora'] | undefined {
  const found = mixture.flatMap(({ name, weight, ...use }, i) => {
    const named = () => {
      const field = mixture.length === 1 ? 'corpus' : `corpus.${i}.name`
      const row = findNamed('corpus', corpora, name, { file, field })
      const only = use.loss === 'assistant' ? 'loss' : use.template && 'template'
      if (only && !row.conversations) {
        const expected = 'a corpus of conversations'
        throw badInput(`corpus "${name}" holds text without turns`, {
          file,
          field: `corpus.${i}.${only}`,
          expected,
        })
      }
      const reading = tokenReadingOf(row, use)
      const plain = !row.conversations && reading.packing === 'windows'
      return { weight, row, ...(!plain && { reading }) }
    }
    return faults.attempt(named) ?? []
  })
  return found.length === mixture.length ? found : undefined
}

/** The definition's tokenizer, or that of the teachers, where they agree. */
export function studentTokenizer(
  definition: Experiment,
  teachers: readonly Teacher[],
  library: LibraryRows,
  file: string | undefined,
): Tokenizer {
  if (definition.tokenizer) return tokenizerNamed(definition.tokenizer, library, file)
  const theirs = teachers.flatMap(
    (teacher) => library.tokenizers.find(({ id }) => id === teacher.tokenizer) ?? [],
  )
  const distinct = theirs.filter((row, i) => theirs.findIndex((other) => sharesVocabulary(row, other)) === i)
  if (distinct.length === 1) return distinct[0]!
  const known = distinct.length ? distinct : library.tokenizers
  throw badInput(
    distinct.length
      ? "the teachers have different tokenizers; the student's must be named"
      : 'without teachers the tokenizer must be named',
    {
      file,
      field: 'tokenizer',
      expected: known.map(({ name }) => name).join(', ') || 'a tokenizer; the library has none',
    },
  )
}

/** A tokenizer's name or id, or those of a teacher whose tokenizer is meant. */
export function tokenizerNamed(
  name: string,
  { tokenizers, teachers }: LibraryRows,
  file: string | undefined,
): Tokenizer {
  const teacher = teachers.find((row) => row.name === name || row.id === name)
  const known = tokenizers.some((row) => row.name === name || row.id === name)
  return findNamed('tokenizer', tokenizers, known || !teacher ? name : teacher.tokenizer, {
    file,
    field: 'tokenizer',
  })
}

/**
 * Names that the library does not have, in a definition that does not parse: what can be read of it is looked up, so that
 * they are told beside what is wrong with it otherwise.
 */
export function unknownNames(text: string, library: LibraryRows, file?: string): RetortError[] {
  const faults = new Faults()
  const raw = faults.attempt(() => readYaml(text, file))
  if (!isRecord(raw)) return faults.errors
  const { corpus, teachers, tokenizer } = experimentFields.shape
  teachersNamed(teachers.safeParse(raw.teachers).data ?? [], library, file, faults)
  corporaNamed(corpus.safeParse(raw.corpus).data ?? [], library, file, faults)
  const named = tokenizer.safeParse(raw.tokenizer).data
  const from = isRecord(raw.student) ? raw.student.from : undefined
  if (typeof from === 'string')
    faults.attempt(() => findNamed('teacher', library.teachers, from, { file, field: 'student.from' }))
  if (named !== undefined) faults.attempt(() => tokenizerNamed(named, library, file))
  return faults.errors
}
