import {
  readDigest,
  type CorpusRead,
  type CorpusScore,
  type EvaluationRecord,
  type Experiment,
  type RunConfig,
} from '#contract'
import { tf } from '../backend/tf'
import type { AlignedBatch } from '../data/spanWindow'
import type { TextTokenizer } from '../data/textTokenizer'
import { inTurn, type Chunk } from '../distill/chunks'
import { entropy, entropyOfProbabilities, logProbabilities, rowDot } from '../distill/divergence'
import { distances, ownWeighting, type ForeignTarget } from '../distill/foreign'
import { labelLogProbabilities } from '../distill/losses'
import { fuseTeachers, type FusedTarget } from '../distill/objective'
import { heldOutText, type HeldOutText } from '../evaluate/heldOut'
import { partsOf, scoringWindows, type WindowBatch, type WindowPart } from '../evaluate/windows'
import { generate } from '../model/generate'
import { nativeModel } from '../model/languageModel'
import { createTables, forward, type Tables } from '../model/forward'
import { drawnWeights } from '../distill/weighting'
import type { ForeignTeacher, ReadBatch } from '../teachers/foreign'
import { logitsOf } from '../teachers/logits'
import { rankForeign } from '../teachers/ranking'
import { prepareTeachers, type TeacherSource } from '../teachers/source'
import { chunksFor } from './chunksFor'
import { countedTokens } from './counted'
import { scoreOf, means, Said, SUMS } from './scores'
import type { Student } from './student'

const PROMPT_TOKENS = 24
const SAMPLE_TOKENS = 40

/** One corpus' held-out split. */
export interface Split {
  id: string
  text: HeldOutText
  windows: WindowBatch[]
  /** The same, cut into what is computed at a time: a step's micro-batches. */
  parts: WindowPart[]
}

/** The held-out splits of a run's corpora, cut into scoring windows once. */
export class HeldOut {
  private readonly weighting: Experiment['weighting']

  private constructor(
    readonly config: RunConfig,
    readonly tokenizer: TextTokenizer,
    readonly splits: readonly Split[],
    private readonly retained: readonly Split[],
    readonly tables: Tables,
  ) {
    this.weighting = ownWeighting(config)
  }

  static async open(dataDir: string, config: RunConfig, tokenizer: TextTokenizer): Promise<HeldOut> {
    const { train, evaluate } = config.experiment
    const open = async (corpus: CorpusRead): Promise<Split> => {
      const text = await heldOutText(dataDir, corpus, config.tokenizer, tokenizer, evaluate.tokens)
      const windows = scoringWindows(text.ids, {
        ...text,
        context: train.context,
        batch: train.batch,
        bos: tokenizer.bos,
      })
      const parts = partsOf(windows, (train.batch / train.accumulate) * train.context)
      return { id: corpus.row.id, text, windows, parts }
    }
    const splits: Split[] = []
    for (const corpus of config.corpora) splits.push(await open(corpus))
    const retained: Split[] = []
    for (const row of config.continues?.corpora ?? []) retained.push(await open({ row }))
    return new HeldOut(config, tokenizer, splits, retained, createTables(config.student, train.context))
  }

  /** What is read at every evaluation. */
  get readings(): { id: string; name: string; digest: string; windows: WindowBatch[] }[] {
    return this.splits.map(({ id, windows }, i) => ({
      id,
      name: this.config.corpora[i]!.row.name,
      digest: readDigest(this.config.corpora[i]!),
      windows,
    }))
  }

  /** Scores the student on every corpus; the teachers, if any, give the fused target it is compared with. */
  async evaluate(
    step: number,
    student: Student,
    teachers: readonly TeacherSource[],
    foreign: readonly ForeignTeacher[] = [],
  ): Promise<EvaluationRecord> {
    const started = performance.now()
    const corpora: CorpusScore[] = []
    const said = new Said()
    for (const split of this.splits) corpora.push(await this.score(split, student, teachers, foreign, said))
    const retained: CorpusScore[] = []
    // By the student alone: what the new teachers say of text that they are not asked about does not matter.
    for (const split of this.retained) retained.push(await this.score(split, student, [], []))
    const sample = await this.sample(student)
    return {
      split: 'held-out',
      step,
      ...means(corpora),
      ...said.figures(),
      corpora,
      ...(retained.length && { retained }),
      seconds: (performance.now() - started) / 1000,
      ...(sample && { sample }),
    }
  }

  /** @param said what the student says is added to it */
  private async score(
    split: Split,
    student: Student,
    teachers: readonly TeacherSource[],
    foreign: readonly ForeignTeacher[],
    said?: Said,
  ): Promise<CorpusScore> {
    const total = new Float64Array(SUMS.length + teachers.length + 2 * foreign.length)
    for (const part of split.parts) {
      await prepareTeachers(teachers, part.inputs, { split: split.id, ...part.at })
      const drawn = this.draw(split, part, teachers.length)
      const read = foreign.map((teacher) => this.aligned(teacher, split, part))
      for (const [j, teacher] of foreign.entries()) await teacher.prepare(read[j]!)
      const ranked = { weights: student.weights, tables: this.tables, inputs: part.inputs }
      await rankForeign(this.config, ranked, foreign, read, false)
      const sums = tf.tidy(() => this.sums(part, student, teachers, drawn, foreign, read))
      const values = await sums.data()
      sums.dispose()
      for (let i = 0; i < total.length; i++) total[i]! += values[i]!
      said?.add(values[SUMS.indexOf('entropy')]!, values.subarray(total.length) as Float32Array, part)
    }
    return scoreOf(total, {
      corpus: split.id,
      bytes: split.text.bytes,
      tau: this.config.experiment.loss.tau,
      teachers: teachers.length,
      foreign: foreign.length,
    })
  }

  /** The teachers' weights and target as the experiment has them, for some tokens of a batch of windows. */
  fuse(
    tau: number,
    logits: readonly tf.Tensor2D[],
    labels: tf.Tensor1D,
    drawn: Float32Array | undefined,
    weights?: tf.Tensor2D,
  ): FusedTarget {
    const { train, loss } = this.config.experiment
    return fuseTeachers(this.weighting, tau, logits, labels.size / train.context, {
      labels,
      weights,
      temperatures: this.config.temperatures,
      conflict: loss,
      drawn: drawn && tf.tensor2d(drawn, [labels.size, logits.length]),
    })
  }

  /**
   * Weights that are drawn are the same at every evaluation; routed ones are all on the corpus' own teacher, so that each
   * split is compared with that teacher alone.
   */
  draw(split: Split, { at, inputs }: WindowPart, teachers: number): Float32Array | undefined {
    const { experiment } = this.config
    const { batch, context: time } = experiment.train
    const stream = `held-out/${split.id}/${at.batch}`
    const read = { stream, tokens: batch * time, time, corpora: this.splits.indexOf(split) }
    const drawn = drawnWeights(experiment, { ...read, teachers })
    return drawn?.subarray(at.first * teachers, (at.first + inputs.length) * teachers)
  }

  /** [SUMS, alpha of each teacher, sum and weight of each foreign one's distances, the student's likeliest token at each position] */
  private sums(
    window: WindowPart,
    student: Student,
    teachers: readonly TeacherSource[],
    drawn: Float32Array | undefined,
    foreign: readonly ForeignTeacher[],
    read: readonly ReadBatch[],
  ): tf.Tensor1D {
    const { context } = this.config.experiment.train
    const sequences = window.inputs.length / context
    const tokens = tf.tensor2d(window.inputs, [sequences, context], 'int32')
    const output = forward(this.config.student, student.weights, tokens, this.tables)
    const signals = teachers.map((teacher) => teacher.signal(tokens))
    const said = foreign.map((teacher, j) => (read[j]!.ranked ? undefined : teacher.signal(read[j]!)))
    const parts = inTurn(
      chunksFor(this.config, sequences, teachers.length, foreign.length),
      (chunk) => {
        const targets = foreign.map((teacher, j) => teacher.target(read[j]!, chunk, said[j]))
        const logits = signals.map((signal) => logitsOf(signal, chunk))
        return this.chunkSums(window, chunk, logitsOf(output, chunk), logits, drawn, targets)
      },
      (done) => done,
    )
    const sums = parts.map(([sums]) => sums!).reduce((a, b) => tf.add(a, b))
    return tf.concat([sums, ...parts.map(([, likeliest]) => likeliest!)]) as tf.Tensor1D
  }

  /** Of a chunk of the window: the sums, and the student's likeliest tokens. */
  private chunkSums(
    window: WindowPart,
    { from, size }: Chunk,
    logits: tf.Tensor2D,
    teachers: readonly tf.Tensor2D[],
    drawn: Float32Array | undefined,
    foreign: readonly ForeignTarget[],
  ): [tf.Tensor1D, tf.Tensor1D] {
    const { loss } = this.config.experiment
    const weights = tf.tensor1d(window.weights.subarray(from, from + size))
    const logQ = logProbabilities(logits, 1)
    const labels = tf.tensor1d(window.targets.subarray(from, from + size), 'int32')
    const nll = tf.neg(labelLogProbabilities(logQ, labels))
    const over = (perToken: tf.Tensor) => tf.sum(tf.mul(tf.reshape(perToken, [-1]), weights))

    const likeliest = tf.argMax(logits, -1)
    const parts: tf.Tensor[] = [tf.sum(weights), over(nll), over(entropy(logQ))]
    if (!teachers.length) {
      parts.push(tf.zeros([3]))
    } else {
      const own = drawn?.subarray(from * teachers.length, (from + size) * teachers.length)
      const counted = countedTokens(this.config, window.weights, { from, size })
      const fuse = (tau: number) => this.fuse(tau, teachers, labels, own, counted)
      const plain = fuse(1)
      const tempered = loss.tau === 1 ? plain : fuse(loss.tau)
      const agree = tf.equal(likeliest, tf.argMax(plain.p, -1))
      parts.push(
        over(divergence(plain.p, logQ)),
        over(divergence(tempered.p, logProbabilities(logits, loss.tau))),
        over(tf.cast(agree, 'float32')),
        tf.sum(tf.mul(tempered.alpha, tf.reshape(weights, [-1, 1])), 0),
      )
    }
    for (const target of foreign) {
      parts.push(
        tf.sum(tf.mul(distances(loss, logits, labels, target), target.weights)),
        tf.sum(target.weights),
      )
    }
    const sums = tf.concat(parts.map((t) => tf.reshape(t, [-1]))) as tf.Tensor1D
    return [sums, tf.cast(likeliest, 'float32') as tf.Tensor1D]
  }

  /** What a foreign teacher reads of a batch of windows: a span counts in the window that scores its first token. */
  private aligned(teacher: ForeignTeacher, split: Split, { starts, weights }: WindowPart): AlignedBatch {
    const at = this.splits.indexOf(split)
    const places = { starts, corpora: starts.map(() => at), limit: split.text.ids.length }
    const read = teacher.read({ split: 'held-out', ...places })
    return { ...read, begins: read.begins.map((begins, i) => begins * weights[i]!), scale: 1 }
  }

  /** A greedy continuation of the first held-out text, to watch the student learn. */
  private async sample(student: Student): Promise<EvaluationRecord['sample']> {
    const first = this.splits[0]
    if (!first) return undefined
    const promptIds = Array.from(first.text.ids.subarray(0, PROMPT_TOKENS))
    const model = nativeModel(this.config.student, student.weights)
    const options = { model, promptIds, tokens: SAMPLE_TOKENS }
    const { ids } = await generate({ ...options, temperature: 0, topP: 1, seed: 1 })
    return { prompt: this.tokenizer.decode(promptIds.slice(1)), continuation: this.tokenizer.decode(ids) }
  }
}

/** KL(p || q) per token, [tokens, 1], from p and log q, [tokens, vocab]. */
function divergence(p: tf.Tensor2D, logQ: tf.Tensor2D): tf.Tensor {
  return tf.neg(tf.add(rowDot(p, logQ), entropyOfProbabilities(p)))
}
