import { routedTeachers, type RunConfig, type Weighting } from '#contract'
import { tf } from '../backend/tf'
import { LOGITS } from './cache/ask'
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
  async prepare(inputs: Int32Array, corpora: Int32Array): Promise<void> {
    const { time, teachers, routes } = this
    const { vocab } = teachers[0]!.row.model
    this.said = new Float32Array(inputs.length * vocab)
    for (const [k, teacher] of teachers.entries()) {
      let own = [...corpora.keys()].filter((row) => routes[corpora[row]!] === k)
      while (own.length) {
        const size = 2 ** Math.floor(Math.log2(own.length))
        const logits = await this.ask(teacher, inputs, own.slice(0, size))
        for (const [i, row] of own.slice(0, size).entries()) {
          const part = logits.subarray(i * time * vocab, (i + 1) * time * vocab)
          this.said.set(part, row * time * vocab)
        }
        own = own.slice(size)
      }
    }
  }

  private async ask(teacher: TeacherSource, inputs: Int32Array, rows: number[]): Promise<Float32Array> {
    const { time } = this
    const ids = new Int32Array(rows.length * time)
    for (const [i, row] of rows.entries()) ids.set(inputs.subarray(row * time, (row + 1) * time), i * time)
    await teacher.prepare?.(ids)
    const logits = tf.tidy(() => teacher.signal(tf.tensor2d(ids, [rows.length, time], 'int32')).logits)
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
