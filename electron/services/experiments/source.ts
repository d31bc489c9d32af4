import { badInput, learnsFromTeachers, mostWritten, writes, type Experiment, type Teacher } from '#contract'

/**
 * @param own those that have the student's tokenizer
 * @param foreign those that have another one
 * @throws bad-input when the student cannot write what it is to learn on, or its teachers cannot read that
 */
export function checkSource(
  {
    train,
    teachers,
    loss,
    cache,
    corpus,
  }: Pick<Experiment, 'train' | 'teachers' | 'loss' | 'cache' | 'corpus'>,
  own: readonly Teacher[],
  foreign: number,
  file?: string,
): void {
  if (!writes(train)) return
  const { source, context } = train
  const refuse = (what: string, field: string, expected: string) => badInput(what, { file, field, expected })
  if (!learnsFromTeachers({ teachers, loss }))
    throw refuse(
      'a student that writes its own text learns from teachers alone',
      'train.source.kind',
      'corpus; or teachers, with loss.lambda above 0',
    )
  const room = context - source.tokens
  if (room < 1)
    throw refuse(
      `${source.tokens} written tokens leave no room for a prompt in a context of ${context}`,
      'train.source.tokens',
      `at most ${context - 1}`,
    )
  if (source.prompts.tokens > room)
    throw refuse(
      `a prompt of ${source.prompts.tokens} tokens and ${source.tokens} written ones are more than a context of ${context}`,
      'train.source.prompts.tokens',
      `at most ${room}`,
    )
  const names = corpus.map(({ name }) => name)
  if (source.prompts.corpus !== undefined && !names.includes(source.prompts.corpus))
    throw refuse(
      `"${source.prompts.corpus}" is none of the corpora`,
      'train.source.prompts.corpus',
      names.join(', '),
    )
  const most = mostWritten(train)
  if (source.buffer > 0 && source.buffer < most)
    throw refuse(
      `a buffer of ${source.buffer} sequences does not hold the ${most} that a step learns on`,
      'train.source.buffer',
      `0, or at least ${most}`,
    )
  if (cache.mode !== 'auto' && cache.mode !== 'off')
    throw refuse(
      'what teachers say of a text that the student is going to write cannot be kept beforehand',
      'cache.mode',
      'auto or off',
    )
  const served = own.find(({ model }) => model.family === 'served')
  if (served)
    throw refuse(
      `teacher "${served.name}" is behind a server, which is asked before the first step`,
      'train.source.kind',
      'corpus',
    )
  if (foreign)
    throw refuse(
      'a teacher of another tokenizer reads text of the corpora alone',
      'train.source.kind',
      "corpus; or teachers of the student's tokenizer",
    )
}
