import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { badInput, corpusReading, objectName, parse, seedList } from '#contract'
import { readYaml } from '../experiments'
import { exercises } from './exercises'

const settings = z.record(z.string(), z.unknown())

const spec = z.strictObject({
  name: objectName,
  description: z.string(),
  corpora: z.array(
    z.union([
      z.strictObject({ name: objectName, path: z.string(), ...corpusReading }),
      /** Questions and answers that are made here, and need no file. */
      z.strictObject({
        name: objectName,
        exercise: z.enum(exercises),
        examples: z.number().int().positive().max(20_000),
      }),
    ]),
  ),
  /** Trained here, on corpora. */
  tokenizers: z
    .array(
      z.strictObject({
        name: objectName,
        corpora: z.array(objectName).min(1),
        vocab: z.number().int().positive(),
      }),
    )
    .default([]),
  /** In this order: a teacher may be made from one before it. */
  teachers: z.array(
    z.union([
      z.strictObject({ name: objectName, import: z.string() }),
      /** A teacher's definition without its name. */
      z.strictObject({ name: objectName, train: settings }),
      z.strictObject({
        name: objectName,
        derive: z.strictObject({ from: objectName, logitScale: z.number().positive() }),
      }),
    ]),
  ),
  /** The experiment that all runs vary, without its name. */
  base: settings,
  /** Paths of the experiment and their values, by method. */
  runs: z.array(z.strictObject({ name: objectName, set: settings.default({}) })).min(1),
  seeds: seedList,
  /** Pairs of methods: is the first better than the second? */
  questions: z
    .array(z.strictObject({ ask: z.string(), compare: z.array(z.tuple([z.string(), z.string()])).min(1) }))
    .min(1),
})
export type StudyDefinition = z.output<typeof spec>

/**
 * A study: what it needs, the runs, and the questions that they are to answer.
 *
 * @param source folder that its relative paths start from; default: the file's own
 * @throws bad-input naming file and field
 */
export function parseStudy(text: string, file: string, source = dirname(file)): StudyDefinition {
  const study = parse(spec, readYaml(text, file), file)
  const names = study.runs.map(({ name }) => name)
  for (const [i, { compare }] of study.questions.entries()) {
    const stray = compare.flat().find((name) => !names.includes(name))
    if (stray === undefined) continue
    const field = `questions.${i}.compare`
    throw badInput(`there are no runs named "${stray}"`, {
      file,
      field,
      expected: `one of ${names.join(', ')}`,
    })
  }
  return {
    ...study,
    corpora: study.corpora.map((corpus) =>
      'path' in corpus ? { ...corpus, path: resolve(source, corpus.path) } : corpus,
    ),
    teachers: study.teachers.map((teacher) =>
      'import' in teacher ? { ...teacher, import: resolve(source, teacher.import) } : teacher,
    ),
  }
}

/** The files and folders that a study reads, in its order. */
export function sourcesOf({ corpora, teachers }: StudyDefinition): { name: string; path: string }[] {
  return [
    ...corpora.filter((corpus) => 'path' in corpus),
    ...teachers.flatMap((teacher) =>
      'import' in teacher ? [{ name: teacher.name, path: teacher.import }] : [],
    ),
  ]
}

/**
 * @param known names that the library has already: they are not read again
 * @throws bad-input naming the first file that is not there
 */
export function checkSources(study: StudyDefinition, known: ReadonlySet<string>): void {
  const missing = sourcesOf(study).find(({ name, path }) => !known.has(name) && !existsSync(path))
  if (missing) {
    throw badInput('there is no such file', {
      file: missing.path,
      expected: `what the study calls "${missing.name}"; is the source folder the right one?`,
    })
  }
}
