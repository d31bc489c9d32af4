import { measuredOf, type RunConfig, type WrittenToken } from '#contract'
import { tf } from '../../backend/tf'
import type { TextTokenizer } from '../../data/textTokenizer'
import { ownWeighting } from '../../distill/foreign'
import { fuseTeachers } from '../../distill/objective'
import { tokenDivergence } from '../../distill/studentDivergence'
import { drawnWeights } from '../../distill/weighting'
import { short } from '../../evaluate/digits'
import { textOfEach } from '../../evaluate/pieces'
import { forward, type Tables } from '../../model/forward'
import { prepareTeachers, type TeacherSource } from '../../teachers/source'
import { columnOf, weightsOfMask } from '../mask'
import type { Student } from '../student'
import type { Written } from './figures'
import { withWritten } from './withWritten'

/** Who says something of a written text. */
export interface Speakers {
  config: RunConfig
  tokenizer: TextTokenizer
  student: Pick<Student, 'weights'>
  tables: Tables
  teachers: readonly TeacherSource[]
}

/**
 * Of each written token the teachers' weights, and the divergence of the student from their fused target there, by the
 * run's objective. Read by itself: weights that a step averages over its batch are here averages over the writing.
 */
export async function saidOf(
  { config, tokenizer, student, tables, teachers }: Speakers,
  one: Written,
): Promise<WrittenToken[]> {
  const { experiment } = config
  const { train, loss } = experiment
  const { context } = train
  const empty = { corpora: Int32Array.of(one.corpus), starts: Int32Array.of(one.start) }
  const blank = { inputs: new Int32Array(context), targets: new Int32Array(context), ...empty }
  const { inputs, targets, mask } = withWritten(blank, [one], { batch: 1, context })
  await prepareTeachers(teachers, inputs)
  const table = tf.tidy(() => {
    const tokens = tf.tensor2d(inputs, [1, context], 'int32')
    const logits = teachers.map((teacher) => teacher.signal(tokens).logits)
    const drawn = drawnWeights(experiment, {
      stream: `writings/${one.step}/${one.start}`,
      ...{ tokens: context, time: context, teachers: teachers.length, corpora: one.corpus },
    })
    const { p, alpha } = fuseTeachers(ownWeighting(config), loss.tau, logits, 1, {
      labels: tf.tensor1d(targets, 'int32'),
      weights: columnOf(weightsOfMask(mask!)),
      temperatures: config.temperatures,
      conflict: loss,
      drawn: drawn && tf.tensor2d(drawn, [context, teachers.length]),
    })
    const own = forward(config.student, student.weights, tokens, tables).logits
    return tf.concat([tokenDivergence(loss, own, p), alpha], 1)
  })
  const columns = 1 + teachers.length
  const values = await table.data()
  table.dispose()
  const texts = textOfEach([...one.prompt, ...one.ids], tokenizer)
  return one.ids.map((_, i) => {
    const at = one.prompt.length + i
    const row = Array.from(values.subarray((at - 1) * columns, at * columns), short)
    return { text: texts[at]!, divergence: measuredOf(row[0]!), alpha: row.slice(1) }
  })
}
