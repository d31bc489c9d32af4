import { routedTeachers, type RunConfig, type Weighting } from '#contract'
import { tf } from '../backend/tf'
import { LOGITS } from './cache/ask'
import { positionsOf } from '../model/packed'
import { CachedTeacher } from './cache/cached'
import type { TeacherSignal, TeacherSource } from './source'

/**
 * Teachers of which each sequence asks one. They are asked before the graph, each for its own sequences alone, so that
 * how many are whose is no part of a compiled structure; in twos, fours, eights ..., so that few graphs are compiled.
 */
export class RoutedTeachers {
  private said = new Float32Array(0)

  /** @param routes each corpus' teacher */
  constructor(
    private readonly teachers: readonly TeacherSource[],
    private readonly routes: readonly number[],
    /** Tokens a sequence. */
    private readonly time: number,
  ) {}

  /** @param corpora of each sequence of `inputs` */
  async prepare(inputs: Int32Array, corpora: Int32Array, positions?: Int32Array): Promise<void> {
    const { time, teachers, routes } = this
    const { vocab } = teachers[0]!.row.model
    this.said = new Float32Array(inputs.length * vocab)
    for (const [k, teacher] of teachers.entries()) {
      let own = [...corpora.keys()].filter((row) => routes[corpora[row]!] === k)
      while (own.length) {
        const size = 2 ** Math.floor(Math.log2(own.length))
        const rows = own.slice(0, size)
        const logits = await this.ask(teacher, this.of(inputs, rows), positions && this.of(positions, rows))
        for (const [i, row] of rows.entries()) {
          const part = logits.subarray(i * time * vocab, (i + 1) * time * vocab)
          this.said.set(part, row * time * vocab)
        }
        own = own.slice(size)
      }
    }
  }

  /** The sequences of a batch that stand in some rows. */
  private of(all: Int32Array, rows: readonly number[]): Int32Array {
    const { time } = this
    const own = new Int32Array(rows.length * time)
    for (const [i, row] of rows.entries()) own.set(all.subarray(row * time, (row + 1) * time), i * time)
    return own
  }

  private async ask(teacher: TeacherSource, ids: Int32Array, own?: Int32Array): Promise<Float32Array> {
    const { time } = this
    await teacher.prepare?.(ids)
    const logits = tf.tidy(() => {
      const tokens = tf.tensor2d(ids, [ids.length / time, time], 'int32')
      return teacher.signal(tokens, { positions: positionsOf(own, time) }).logits
    })
    const values = (await logits.data()) as Float32Array
    logits.dispose()
    return values
  }

  prepared(): Float32Array[] {
    return [this.said]
  }

  /** What the teacher of each sequence says of it. */
  signal(tokens: tf.Tensor2D): TeacherSignal {
    return { logits: tf.tensor2d(this.said, [tokens.size, this.said.length / tokens.size]), hidden: [] }
  }
}

/**
 * Undefined of other weightings, and where all teachers are asked of all: to be kept in the cache, or as a table of a
 * micro-batch's logits would be too large.
 */
export function routedOf(
  { experiment, student }: RunConfig,
  { strategy }: Pick<Weighting, 'strategy'>,
  teachers: readonly TeacherSource[],
): RoutedTeachers | undefined {
  const { batch, accumulate, context } = experiment.train
  if (strategy !== 'routed' || !teachers.length) return undefined
  if (teachers.some((teacher) => teacher instanceof CachedTeacher)) return undefined
  if ((batch / accumulate) * context * student.vocab > LOGITS) return undefined
  return new RoutedTeachers(teachers, routedTeachers(experiment), context)
}
