import { learnsFromTeachers, type Experiment, type RunConfig } from '#contract'
import { inHalf } from '../backend'
import { tf } from '../backend/tf'
import type { MixedLoss } from '../distill/losses'
import { chunkedLoss, rowsOf, type Chunk } from '../distill/chunks'
import { lossWithForeign, ownWeighting, teacherShares } from '../distill/foreign'
import {
  fuseTeachers,
  stageOf,
  withFeatures,
  type FusedTarget,
  type Objective,
  type Stage,
} from '../distill/objective'
import { retainedTarget, withRetention } from '../distill/retention'
import { drawnWeights } from '../distill/weighting'
import { forward, type Tables } from '../model/forward'
import { softCap } from '../model/layers'
import { dropoutMasks } from '../model/lora'
import { layoutOf, positionsOf } from '../model/packed'
import type { ForeignTeacher } from '../teachers/foreign'
import { logitsOf } from '../teachers/logits'
import { rankForeign } from '../teachers/ranking'
import { routedOf, type RoutedTeachers } from '../teachers/routed'
import { prepareTeachers, type Reading, type TeacherSignal, type TeacherSource } from '../teachers/source'
import { chunksFor } from './chunksFor'
import { byName, type Gradients } from './gradients'
import { gradientSum, type GradientSum } from './gradientSum'
import {
  joined,
  keptLosses,
  measuredVector,
  readMeasured,
  weightsOf,
  type Measured,
  type StepMetrics,
} from './measured'
import { fusedOf, keptAll, type Part } from './parts'
import { columnOf, countedColumns, countedOf } from './mask'
import { learningRate } from './schedule'
import type { Student } from './student'
import { aligned, partOfBatch, type StepBatch, type TokenBatch } from './tokenBatch'

/** The training step of one run: forward, losses, backward, update. */
export class TrainingStep {
  private readonly attention: boolean
  private readonly experiment: Experiment
  private readonly teachers: readonly TeacherSource[]
  /** Of routed teachers those that are asked by sequence. */
  private readonly routed: RoutedTeachers | undefined
  private readonly foreign: readonly ForeignTeacher[]
  private readonly weighting: Experiment['weighting']
  /** The fused target's share of the teachers' part of the loss. */
  private readonly share: number
  private readonly sum: GradientSum

  /**
   * @param teachers in the definition's order; not asked when the loss does not need them
   * @param earlier the student's earlier self, frozen, where the loss has a retention term
   * @param foreign teachers of other tokenizers, in the definition's order
   */
  constructor(
    private readonly config: RunConfig,
    private readonly student: Student,
    private readonly tables: Tables,
    teachers: readonly TeacherSource[],
    private readonly earlier?: ReadonlyMap<string, tf.Tensor>,
    foreign: readonly ForeignTeacher[] = [],
  ) {
    this.experiment = config.experiment
    this.foreign = config.experiment.loss.lambda > 0 ? foreign : []
    this.weighting = ownWeighting(config)
    this.share = teacherShares(config).own
    const { features } = config.experiment.loss
    const aligns = student.alignments().length > 0
    this.attention = aligns && features !== false && features.attention !== 'none'
    this.teachers = learnsFromTeachers(config.experiment) ? teachers : []
    this.routed = aligns ? undefined : routedOf(config, this.weighting, this.teachers)
    this.sum = gradientSum(student.optimizer, config.experiment.train.accumulate)
  }

  /** Does step `step` (from 1) and resolves to its metrics. */
  async run(step: number, batch: TokenBatch): Promise<StepMetrics & Pick<Measured, 'writtenLoss'>> {
    const rate = learningRate(this.experiment.train, step)
    const { accumulate, context } = this.experiment.train
    const foreign = this.foreign.map((teacher) => aligned(teacher, batch))
    const { corpora, positions } = batch
    const read = { stream: String(step), tokens: batch.inputs.length, time: context, corpora, positions }
    const drawn = drawnWeights(this.experiment, { ...read, teachers: this.teachers.length })
    const { mask, apart, ...tokens } = batch
    const whole = { ...tokens, ...countedOf({ mask, apart }), drawn, foreign }
    // With a loss scale the gradients are looked at before the update, so that it is a graph of its own.
    const { lossScale } = this.student
    const factor = lossScale && { lossScale: lossScale.factor }
    const once = accumulate === 1 && !lossScale
    const metrics = await (once ? this.whole(step, rate, whole) : this.parts(step, rate, whole))
    return { step, learningRate: rate, ...factor, ...metrics }
  }

  /** Everything in one graph, that a lazy backend makes one session run of. */
  private async whole(step: number, rate: number, batch: StepBatch): Promise<Measured> {
    await this.prepare(batch, { split: 'train', batch: step - 1, first: 0 })
    const stage = stageOf(this.experiment, step)
    const compute = () => this.gradients(batch, stage, String(step))
    const { metrics, norm } = await this.student.optimizer.step(
      compute,
      step,
      rate,
      this.recurring(batch, stage),
    )
    return this.named(metrics, norm, batch)
  }

  /** What a step reads that the next one reads anew; undefined where teachers make their signals of something else. */
  private recurring({ inputs, targets, positions, weights, apart, drawn }: StepBatch, stage: Stage) {
    if (this.foreign.length || this.experiment.student.lora?.dropout) return undefined
    const arrays: (Int32Array | Float32Array)[] = [inputs, targets]
    for (const array of [positions, weights, apart?.labels, apart?.written, drawn])
      if (array) arrays.push(array)
    for (const teacher of this.routed ? [this.routed] : this.teachers) {
      const prepared = teacher.prepare ? teacher.prepared?.() : []
      if (!prepared) return undefined
      arrays.push(...prepared)
    }
    return {
      key: `${stage} ${this.student.lossScale?.factor} ${!!positions} ${!!weights} ${!!apart}`,
      arrays,
    }
  }

  /** Micro-batches, one after the other, so that only one's activations exist at a time; then the update. */
  private async parts(step: number, rate: number, batch: StepBatch): Promise<Measured> {
    const { accumulate } = this.experiment.train
    const stage = stageOf(this.experiment, step)
    const size = batch.inputs.length / accumulate
    let total: Float64Array | undefined
    for (let i = 0; i < accumulate; i++) {
      const part = partOfBatch(batch, i, accumulate)
      await this.prepare(part, { split: 'train', batch: step - 1, first: i * size })
      const add = () =>
        this.sum.add(() => this.gradients(part, stage, `${step}/${i}`), this.recurring(part, stage))
      const values = await (this.student.lossScale ? inHalf(add) : add())
      total ??= new Float64Array(values.length)
      for (const [j, value] of values.entries()) total[j]! += value / accumulate
    }
    return this.named(total!, await this.update(this.sum.mean(), step, rate), batch)
  }

  /** Resolves to the gradients' norm; if that is no number, a loss scale keeps the update from being done. */
  private async update(gradients: Gradients, step: number, rate: number): Promise<number> {
    const { lossScale, optimizer } = this.student
    if (lossScale) {
      const norm = await optimizer.norm(gradients)
      if (!lossScale.judge(norm)) {
        tf.dispose([...gradients.values()])
        return norm
      }
    }
    const updates = step - (lossScale?.skipped ?? 0)
    return (await optimizer.step(() => ({ gradients }), updates, rate)).norm
  }

  private async prepare(
    { inputs, corpora, positions, foreign }: Omit<StepBatch, 'targets'>,
    reading: Reading,
  ): Promise<void> {
    if (this.routed) await this.routed.prepare(inputs, corpora!, positions)
    else await prepareTeachers(this.teachers, inputs, reading)
    for (const [j, teacher] of this.foreign.entries()) await teacher.prepare(foreign[j]!)
    const student = { weights: this.student.weights, tables: this.tables, inputs }
    await rankForeign(this.config, student, this.foreign, foreign, true)
  }

  /** Gradients of the loss, and what `readMeasured` reads. */
  private gradients(
    { inputs, targets, positions, drawn, foreign, ...counted }: StepBatch,
    stage: Stage,
    stream: string,
  ): { gradients: Gradients; metrics: tf.Tensor1D } {
    const { train } = this.experiment
    const sequences = inputs.length / train.context
    const tokens = tf.tensor2d(inputs, [sequences, train.context], 'int32')
    const places = positionsOf(positions, train.context)
    const options = { attention: this.attention, positions: places }
    const layout = layoutOf(this.tables, places)
    const signals = this.routed
      ? [this.routed.signal(tokens)]
      : this.teachers.map((teacher) => teacher.signal(tokens, options))
    const said = this.foreign.map((teacher, j) =>
      foreign[j]!.ranked ? undefined : teacher.signal(foreign[j]!),
    )
    const chunks = chunksFor(this.config, sequences, this.teachers.length, this.foreign.length)
    const parts: Part[] = []
    const earlier = this.earlier && forward(this.config.student, this.earlier, tokens, layout)
    const variables = this.student.parameters()
    const weights = this.dropped(inputs.length, stream)
    const all = counted.weights && columnOf(counted.weights)
    const losses: tf.Tensor[] = []
    const { lossScale } = this.student
    const scale = lossScale && tf.scalar(lossScale.factor)
    const { value, grads } = tf.variableGrads(() => {
      const output = forward(this.config.student, weights, tokens, layout, {
        attention: this.attention,
        checkpointing: train.checkpointing === 'layers',
      })
      const { normal, head, cap } = output.final
      const before = (chunk: Chunk) => {
        const labels = tf.tensor1d(targets.subarray(chunk.from, chunk.from + chunk.size), 'int32')
        const { weights, apart } = countedColumns(counted, chunk)
        const target = this.target(signals, labels, weights, { drawn, positions }, chunk)
        const others = this.foreign.map((teacher, j) => teacher.target(foreign[j]!, chunk, said[j]))
        const retained = retainedTarget(this.experiment, earlier?.final, chunk)
        // The backward pass reads them: they outlive the forward pass in which they are made.
        parts.push(keptAll({ labels, weights, apart, target, foreign: others, retained }))
        return target ? Object.values(weightsOf(target)) : []
      }
      const lossOf = (product: tf.Tensor2D, i: number) => this.chunkLoss(softCap(product, cap), parts[i]!)
      const mixed = chunkedLoss(normal, head, chunks, lossOf, { scale, before })
      const alpha = joined(fusedOf(parts), ({ alpha }) => alpha)
      const o: Objective = alpha
        ? withFeatures(this.experiment, mixed, output, alpha, signals, this.student.alignments(), stage, all)
        : mixed
      losses.push(...keptLosses({ ...mixed, ...o }))
      return scale ? tf.mul(o.loss, scale) : o.loss
    }, [...variables.values()])
    const metrics = measuredVector(scale ? tf.div(value, scale) : value, losses, fusedOf(parts), all)
    for (const part of parts) tf.dispose(part as unknown as tf.TensorContainer)
    const gradients = byName(variables, grads)
    if (scale) for (const [name, gradient] of gradients) gradients.set(name, tf.div(gradient, scale))
    return { gradients, metrics }
  }

  /** What the forward pass reads of so many tokens: the student's weights, with masks where adapters have dropout. */
  private dropped(tokens: number, stream: string): ReadonlyMap<string, tf.Tensor> {
    const { student, seed } = this.experiment
    if (!student.lora?.dropout) return this.student.weights
    const masks = dropoutMasks(this.config.student, student.lora, tokens, seed, stream)
    return new Map<string, tf.Tensor>([...this.student.weights, ...masks])
  }

  private chunkLoss(logits: tf.Tensor2D, part: Part): MixedLoss {
    const { labels, weights, apart, target, foreign, retained } = part
    const { experiment, share } = this
    const mixed = lossWithForeign(experiment, logits, labels, target, share, foreign, weights, apart)
    return withRetention(this.experiment, mixed, logits, retained, weights)
  }

  /** What the teachers say together of a chunk's tokens. */
  private target(
    signals: readonly TeacherSignal[],
    labels: tf.Tensor1D,
    weights: tf.Tensor2D | undefined,
    { drawn, positions }: Pick<StepBatch, 'drawn' | 'positions'>,
    chunk: Chunk,
  ): FusedTarget | undefined {
    const { train, loss } = this.experiment
    const count = this.teachers.length
    if (!count) return undefined
    const { from, size } = chunk
    const logits = signals.map((signal) => logitsOf(signal, chunk))
    const own = drawn && tf.tensor2d(drawn.subarray(from * count, (from + size) * count), [size, count])
    if (this.routed) {
      const alone = fuseTeachers(
        { ...this.weighting, strategy: 'uniform' },
        loss.tau,
        logits,
        size / train.context,
      )
      return { ...alone, alpha: own!, entropies: tf.mul(alone.entropies, own!) }
    }
    return fuseTeachers(this.weighting, loss.tau, logits, size / train.context, {
      labels,
      weights,
      temperatures: this.config.temperatures,
      conflict: loss,
      statistics: signals.map(
        ({ statistics: known }) =>
          known && {
            entropy: known.entropy && rowsOf(known.entropy, chunk),
            labelLoss: rowsOf(known.labelLoss, chunk),
          },
      ),
      normalisedAt: signals.map(({ normalisedAt }) => normalisedAt),
      drawn: own,
      positions: positionsOf(positions?.subarray(from, from + size), train.context),
    })
  }

  private named(values: ArrayLike<number>, norm: number, { apart }: StepBatch): Measured {
    const run = {
      teachers: this.teachers.length,
      foreign: this.foreign.length,
      features: this.student.alignments().length > 0,
      retention: this.earlier !== undefined,
      routed: this.routed !== undefined,
    }
    return readMeasured(values, norm, run, apart && { labelled: apart.labels.some((one) => one > 0) })
  }
}
