import {
  longestSequence,
  type ForeignTeacherRow,
  type RunConfig,
  type Teacher,
  type TeacherOutputs,
  type Tokenizer,
} from '#contract'
import { sha256 } from '../../files'
import { tf } from '../backend/tf'
import { alignConversations, type SpokenStream } from '../data/alignConversations'
import { alignTokens } from '../data/alignment'
import type { Split } from '../data/documents'
import {
  emptyAlignedBatch,
  fillRow,
  scaled,
  windowTime,
  type AlignedBatch,
  type AlignedText,
  type WindowShape,
} from '../data/spanWindow'
import { openTokens } from '../data/tokenFile'
import { ownTemplate } from '../data/templates'
import { loadTokenizer, tokenizerFile } from '../data/tokenizer'
import type { TextTokenizer } from '../data/textTokenizer'
import type { Chunk } from '../distill/chunks'
import { spanTarget, teacherShares, type ForeignTarget } from '../distill/foreign'
import type { Progress } from '../progress'
import { openLiveTeacher } from './live'
import { logitsOf } from './logits'
import type { TeacherSignal, TeacherSource } from './source'

/** Sequences of a batch, by where they are from. */
export interface Places {
  split: 'train' | 'held-out'
  /** Per sequence the corpus, as its place in the run's; and where in the student's ids it begins, -1 for padding. */
  corpora: ArrayLike<number>
  starts: ArrayLike<number>
  /** The student's ids that count. */
  limit?: number
}

/** What a foreign teacher reads in place of a batch; of `uld`, with what the ranks say (./ranking). */
export interface ReadBatch extends AlignedBatch {
  ranked?: {
    /** [sequences * context] */
    distances: Float32Array
    /** [sequences * context, the student's vocabulary], where a gradient is wanted. */
    signs?: Float32Array
  }
}

type Texts = Record<Places['split'], readonly AlignedText[]>

/** A teacher whose tokenizer is not the student's: it reads the same bytes in its own tokens, and is never cached. */
export class ForeignTeacher {
  readonly shape: WindowShape
  private signs = new Float32Array()

  constructor(
    private readonly source: TeacherSource,
    /** Of the teachers' part of the loss. */
    readonly share: number,
    private readonly texts: Texts,
    context: number,
    time: number,
  ) {
    this.shape = { context, time }
  }

  get row(): Teacher {
    return this.source.row
  }

  /** What it reads in place of the student's sequences. */
  read({ split, corpora, starts, limit }: Places): AlignedBatch {
    const batch = emptyAlignedBatch(starts.length, this.shape)
    for (let row = 0; row < starts.length; row++) {
      if (starts[row]! < 0) continue
      fillRow(batch, row, this.texts[split][corpora[row]!]!, starts[row]!, this.shape, limit)
    }
    return scaled(batch)
  }

  /** Awaited before the graph that asks for its signal. */
  async prepare(batch: Pick<AlignedBatch, 'inputs'>): Promise<void> {
    await this.source.prepare?.(batch.inputs)
  }

  /** Called inside a tidy, with no gradient taken. */
  signal(batch: AlignedBatch): TeacherSignal {
    const { time } = this.shape
    return this.source.signal(tf.tensor2d(batch.inputs, [batch.inputs.length / time, time], 'int32'))
  }

  /**
   * What it says of a chunk of the student's tokens.
   *
   * @param signal of `spans`; what `uld` compares is with the batch
   */
  target(batch: ReadBatch, chunk: Chunk, signal?: TeacherSignal): ForeignTarget {
    const { context, time } = this.shape
    const own = <T extends Int32Array | Float32Array>(values: T, width = 1) =>
      values.subarray(chunk.from * width, (chunk.from + chunk.size) * width) as T
    const weights = tf.tensor2d(
      own(batch.begins).map((begins) => begins * batch.scale),
      [chunk.size, 1],
    )
    if (!signal) {
      const { distances, signs } = batch.ranked!
      const vocab = signs && signs.length / distances.length
      const ranked = {
        distance: tf.tensor2d(own(distances), [chunk.size, 1]),
        ...(signs && { signs: tf.tensor2d(own(signs, vocab), [chunk.size, vocab!]) }),
      }
      return { share: this.share, weights, ranked }
    }
    const rows = this.rowsOf(chunk)
    const theirs = (values: Int32Array) => values.subarray(rows.from, rows.from + rows.size)
    const nowhere = theirs(batch.teacherSpans).map((place, i) =>
      place === context ? chunk.size : place + Math.floor(i / time) * context,
    )
    return spanTarget(this.share, {
      logits: logitsOf(signal, rows),
      targets: tf.tensor1d(theirs(batch.targets), 'int32'),
      spans: spread(own(batch.spans), context, context),
      teacherSpans: tf.tensor1d(nowhere, 'int32'),
      weights,
    })
  }

  /** The rows of its tokens where a chunk has the student's. */
  rowsOf({ from, size }: Chunk): Chunk {
    const { context, time } = this.shape
    return { from: (from / context) * time, size: (size / context) * time }
  }

  /** Among its rows of a chunk, those that predict the first token of a span; int32 [tokens of the student's]. */
  placesOf({ at }: AlignedBatch, { from, size }: Chunk): tf.Tensor1D {
    return spread(at.subarray(from, from + size), this.shape.context, this.shape.time)
  }

  /** Memory for the signs of one batch after the other. */
  signsOf(size: number): Float32Array {
    if (this.signs.length !== size) this.signs = new Float32Array(size)
    return this.signs
  }

  dispose(): void {
    this.source.dispose()
  }
}

/** Places within sequences of `length` to places among sequences of `stride`. */
function spread(values: Int32Array, length: number, stride: number): tf.Tensor1D {
  return tf.tensor1d(
    values.map((place, i) => place + Math.floor(i / length) * stride),
    'int32',
  )
}

/**
 * Opens a run's teachers of other tokenizers and aligns all of its text with theirs.
 *
 * @param tokenizer the student's
 * @throws bad-input when a tokenizer does not keep the text's bytes
 */
export async function openForeignTeachers(
  dataDir: string,
  config: RunConfig,
  tokenizer: TextTokenizer,
  progress: Progress,
): Promise<ForeignTeacher[]> {
  const { foreign = [], experiment } = config
  const { context } = experiment.train
  const shares = teacherShares(config)
  const teachers: ForeignTeacher[] = []
  for (const [j, one] of foreign.entries()) {
    const its = await loadTokenizer(dataDir, one.tokenizer)
    const aligned = (split: Split) => alignCorpora(dataDir, config, tokenizer, one, its, split, progress)
    const texts = { train: await aligned('train'), 'held-out': await aligned('held-out') }
    const time = windowTime(texts.train, context, longestSequence(one.row.model))
    const source = await openLiveTeacher(dataDir, one.row, time)
    teachers.push(new ForeignTeacher(source, shares.foreign[j]!, texts, context, time))
  }
  return teachers
}

async function alignCorpora(
  dataDir: string,
  config: RunConfig,
  tokenizer: TextTokenizer,
  { row, tokenizer: itsRow }: ForeignTeacherRow,
  its: TextTokenizer,
  split: Split,
  progress: Progress,
): Promise<AlignedText[]> {
  const texts: AlignedText[] = []
  // Its own template writes the same turns for it; where it has none, the one that was named.
  const hasOwn = ownTemplate(tokenizerFile(dataDir, itsRow)) !== undefined
  for (const [i, { row: corpus, reading }] of config.corpora.entries()) {
    progress(`aligning the tokens of teacher ${row.name}`, i / config.corpora.length)
    const whole = async (row: Tokenizer, tokenizer: TextTokenizer, template: string | undefined) => {
      const { ids, assistant, begins } = await openTokens(dataDir, corpus, row, split, progress, template)
      const spoken = assistant && begins && { assistant: assistant.subarray(0, ids.length), begins }
      return { name: row.name, ids: ids.subarray(0, ids.length), tokenizer, ...spoken }
    }
    const own = await whole(config.tokenizer, tokenizer, reading?.template)
    const theirs = await whole(itsRow, its, hasOwn ? undefined : reading?.template)
    const spans =
      isSpoken(own) && isSpoken(theirs)
        ? alignConversations(own, theirs, corpus.name)
        : alignTokens(own, theirs, corpus.name)
    texts.push({ spans, teacher: theirs.ids })
  }
  return texts
}

const isSpoken = <T extends object>(stream: T): stream is T & Pick<SpokenStream, 'assistant' | 'begins'> =>
  'begins' in stream

/** What their outputs cost a run: nobody else reads them, each pass is its own. */
export function foreignOutputs(config: RunConfig, teachers: readonly ForeignTeacher[]): TeacherOutputs[] {
  const { steps, batch } = config.experiment.train
  return teachers.map(({ row, shape }) => ({
    teacher: row.id,
    key: sha256(`foreign/${row.digest}/${config.id}`),
    computed: steps * batch * shape.time,
    reused: 0,
    seconds: 0,
    secondsSaved: 0,
  }))
}

/** How it reads, for the run's log. */
export function describeForeign({ tokenizer, experiment }: RunConfig, teacher: ForeignTeacher): string {
  const { context, time } = teacher.shape
  const { compare } = experiment.loss.foreign
  return `teacher ${teacher.row.name} has another tokenizer than "${tokenizer.name}": it reads at most ${time} tokens where the student reads ${context}, and is compared by ${compare}`
}
