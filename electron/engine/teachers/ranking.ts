import type { RunConfig } from '#contract'
import { tf } from '../backend/tf'
import { chunksOf } from '../distill/chunks'
import { logProbabilities } from '../distill/divergence'
import { RankComparison } from '../distill/ranks'
import { forward, type Tables } from '../model/forward'
import type { ForeignTeacher, ReadBatch } from './foreign'
import { logitsOf } from './logits'
import type { TeacherSignal } from './source'

/** The student as it is, and what it reads. */
export interface RankedStudent {
  weights: ReadonlyMap<string, tf.Tensor>
  tables: Tables
  /** Its token ids, [sequences * context]. */
  inputs: Int32Array
}

/**
 * Of the comparison `uld`: compares the probabilities of student and teachers rank by rank wherever spans begin, before
 * the graph that needs it. The runtime would sort much longer than the host does, which a forward pass of the student
 * more is worth.
 *
 * @param gradient whether the graph trains: then the signs are kept beside the distances
 */
export async function rankForeign(
  { experiment, student: model }: RunConfig,
  { weights, tables, inputs }: RankedStudent,
  foreign: readonly ForeignTeacher[],
  read: readonly ReadBatch[],
  gradient: boolean,
): Promise<void> {
  const { loss, train } = experiment
  if (loss.foreign.compare !== 'uld' || !foreign.length) return
  const sequences = inputs.length / train.context
  const student = held(() => {
    const tokens = tf.tensor2d(inputs, [sequences, train.context], 'int32')
    return forward(model, weights, tokens, tables)
  })
  for (const [j, teacher] of foreign.entries()) {
    const batch = read[j]!
    const said = held(() => teacher.signal(batch))
    const { vocab } = teacher.row.model
    const comparison = new RankComparison(model.vocab, vocab)
    const distances = new Float32Array(inputs.length)
    const signs = gradient ? teacher.signsOf(inputs.length * model.vocab) : undefined
    const chunks = chunksOf(sequences, train.context, Math.max(model.vocab, vocab), { whole: true })
    for (const chunk of chunks) {
      const { from, size } = chunk
      const tables = [
        () => logitsOf(student.signal, chunk),
        () => tf.gather(logitsOf(said.signal, teacher.rowsOf(chunk)), teacher.placesOf(batch, chunk)),
      ].map((logits) => probabilities(logits, loss.tau))
      const [own, theirs] = await Promise.all(tables)
      comparison.compare(
        { student: own!, teacher: theirs! },
        batch.begins.subarray(from, from + size),
        distances.subarray(from, from + size),
        signs?.subarray(from * model.vocab, (from + size) * model.vocab),
      )
    }
    said.dispose()
    batch.ranked = { distances, signs }
  }
  student.dispose()
}

/** What a model says, computed once for all chunks. */
function held(say: () => Pick<TeacherSignal, 'logits' | 'final'>) {
  let signal!: Pick<TeacherSignal, 'logits' | 'final'>
  const own = tf.tidy(() => {
    signal = say()
    return signal.final?.normal ?? signal.logits
  })
  return { signal, dispose: () => own.dispose() }
}

async function probabilities(logits: () => tf.Tensor2D, tau: number): Promise<Float32Array> {
  const p = tf.tidy(() => tf.exp(logProbabilities(logits(), tau)))
  const values = (await p.data()) as Float32Array
  p.dispose()
  return values
}
