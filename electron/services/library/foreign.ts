import {
  badInput,
  namedUse,
  sharesVocabulary,
  type Experiment,
  type ForeignTeacherRow,
  type RunConfig,
  type RunTeacher,
  type Tokenizer,
  type WeightingStrategy,
} from '#contract'

/** An experiment's teachers, those with the student's tokenizer apart from those with another one. */
export interface Teachers {
  own: RunTeacher[]
  foreign: ForeignTeacherRow[]
}

/** Weightings that need every teacher's word on the same tokens. */
const TOGETHER: readonly WeightingStrategy[] = ['kl-to-consensus', 'label-confidence', 'oracle']
const APART = 'uniform, fixed, entropy, inverse-entropy, calibrated-entropy or random'

/**
 * Tells the teachers whose ids stand for the same bytes as the student's from the others, and refuses what has no meaning
 * with those.
 *
 * @throws bad-input naming the field
 */
export function separateTeachers(
  definition: Experiment,
  teachers: readonly RunTeacher[],
  tokenizer: Tokenizer,
  tokenizers: readonly Tokenizer[],
  file?: string,
): Teachers {
  const result: Teachers = { own: [], foreign: [] }
  for (const [place, row] of teachers.entries()) {
    const its = tokenizers.find(({ id }) => id === row.tokenizer)
    if (!its) {
      throw badInput(`the tokenizer of teacher "${row.name}" is not in the library any more`, {
        file,
        field: `teachers.${place}`,
        expected: 'a teacher whose tokenizer is there',
      })
    }
    if (sharesVocabulary(its, tokenizer)) result.own.push(row)
    else result.foreign.push({ row, tokenizer: its, place })
  }
  if (result.foreign.length) check(definition, tokenizer, result, file)
  return result
}

function check(
  definition: Experiment,
  tokenizer: Tokenizer,
  { own, foreign }: Teachers,
  file?: string,
): void {
  const { weighting, loss, cache, student, teachers } = definition
  const refuse = (field: string, why: string, expected: string, { row } = foreign[0]!): never => {
    const what = `teacher "${row.name}" has another tokenizer than the student: ${why}`
    throw badInput(what, { file, field, expected })
  }
  const served = foreign.find(({ row }) => row.model.family === 'served')
  if (served)
    refuse(
      `teachers.${served.place}`,
      'of a server, which tells its likeliest tokens alone, nothing else is compared',
      "a server with the student's tokenizer",
      served,
    )
  const loses = ({ name }: Tokenizer) =>
    `text does not survive tokenizer "${name}", so its tokens have no place in the bytes`
  const lossless = 'a tokenizer that keeps every byte'
  if (!tokenizer.lossless) refuse('tokenizer', loses(tokenizer), lossless)
  const lossy = foreign.find((one) => !one.tokenizer.lossless)
  if (lossy) refuse(`teachers.${lossy.place}`, loses(lossy.tokenizer), lossless, lossy)
  if (loss.objective !== 'forward-kl')
    refuse('loss.objective', `"${loss.objective}" needs one vocabulary`, 'forward-kl')
  if (loss.conflict !== 'none')
    refuse('loss.conflict', `"${loss.conflict}" compares teachers token by token`, 'none')
  if (weighting.fusion === 'geometric')
    refuse('weighting.fusion', 'a geometric mean needs one vocabulary', 'arithmetic')
  if (TOGETHER.includes(weighting.strategy)) {
    const why = `"${weighting.strategy}" compares teachers token by token`
    refuse('weighting.strategy', why, APART)
  }
  if (weighting.strategy === 'routed')
    refuse(
      'weighting.strategy',
      'it teaches on every sequence, and "routed" gives each to one teacher',
      APART,
    )
  if (!own.length && loss.features !== false && loss.features.gamma > 0)
    refuse('loss.features', 'its hidden states are of other tokens and cannot be aligned', 'false')
  if (!own.length && !['auto', 'off'].includes(cache.mode))
    refuse('cache.mode', 'its outputs are not cached', 'auto or off')
  if (student.from === undefined && typeof student.init === 'object') {
    const { teacher } = student.init
    const named = foreign.some((one) => one.row.name === teacher || one.row.id === teacher)
    if (named) {
      const expected = own.map(({ name }) => name).join(', ') || 'random'
      throw badInput(`teacher "${teacher}" has another tokenizer than the student`, {
        file,
        field: 'student.init.teacher',
        expected,
      })
    }
  }
  const ofOwn = weighting.weights?.filter((_, k) => !foreign.some((one) => one.place === k)) ?? []
  if (weighting.strategy === 'fixed' && own.length && ofOwn.every((weight) => weight === 0)) {
    const names = teachers
      .filter((_, k) => !foreign.some((one) => one.place === k))
      .map((use) => namedUse(use).name)
      .join(', ')
    throw badInput(`the weights of the teachers with the student's tokenizer (${names}) are all 0`, {
      file,
      field: 'weighting.weights',
      expected: 'one above 0, or none of these teachers',
    })
  }
}

/** All of a run's teachers; for estimates, one of another tokenizer counts as if it read as many tokens as the student. */
export function allTeachers({
  teachers,
  foreign = [],
}: Pick<RunConfig, 'teachers' | 'foreign'>): RunTeacher[] {
  return [...teachers, ...foreign.map(({ row }) => row)]
}
