import { inHalf } from '../backend'
import { tf } from '../backend/tf'
import { chunkedLoss, chunksOf, type Chunk } from '../distill/chunks'
import { meanSquaredError } from '../distill/features'
import { fuseTeachers, type FusedTarget } from '../distill/objective'
import { mixedLoss } from '../distill/losses'
import { causalAttention } from '../model/attention'
import { rmsNorm, swish } from '../model/layers'
import { createRandom } from '../random'
import { AdamW, type Computed } from '../train/adamw'
import { gradientSum, type GradientSum } from '../train/gradientSum'

/** The configurations of ENGINE.md: a step that other frameworks can repeat, with the teachers' logits given. */
export const configurations = {
  tiny: { vocab: 256, width: 32, layers: 2, heads: 2, time: 16, batch: 2, teacherWidth: 32 },
  A: { vocab: 2048, width: 192, layers: 4, heads: 6, time: 128, batch: 16, teacherWidth: 256 },
  B: { vocab: 4096, width: 384, layers: 6, heads: 6, time: 256, batch: 8, teacherWidth: 512 },
  C: { vocab: 12288, width: 512, layers: 6, heads: 8, time: 256, batch: 4, teacherWidth: 512 },
} as const
/** Of what waits for the backward pass. */
export type Precision = 'f32' | 'f16'
export type Configuration = (typeof configurations)[keyof typeof configurations]

const TEACHERS = 3
/** x * sigmoid(GELU * x) is close to GELU(x) (Hendrycks and Gimpel 2016). */
const GELU = 1.702
const WEIGHTING = { strategy: 'entropy', granularity: 'token', temperature: 1, fusion: 'arithmetic' } as const
const OPTIMIZER = { betas: [0.9, 0.95] as [number, number], weightDecay: 0.01, clip: 1 }
const RATE = 1e-3
/** What the loss is multiplied with in half precision; a run finds its own. */
const LOSS_SCALE = 2 ** 10

/**
 * One training step of a small decoder (RMSNorm, full attention heads, a gated unit with sigmoid, learned nothing of
 * positions), three fixed teachers, entropy weights, KL + cross-entropy + features: the same mathematics as the
 * PyTorch script it is compared with, built from the losses, weighting and optimiser that runs use.
 */
export class ReferenceStep {
  readonly parameters = new Map<string, tf.Variable>()
  private readonly optimizer: AdamW
  private readonly mask: tf.Tensor2D
  private readonly chunks: Chunk[]
  /** Of each chunk, each teacher's. */
  private readonly logits: tf.Tensor2D[][]
  private readonly features: tf.Tensor2D[]
  private sum: GradientSum | undefined

  constructor(
    private readonly c: Configuration,
    private readonly precision: Precision = 'f32',
  ) {
    const { vocab, width, layers, time, batch, teacherWidth } = c
    this.add('embedding', [vocab, width], 0.02)
    for (let l = 0; l < layers; l++) {
      this.add(`${l}.gain1`, [width], 0)
      this.add(`${l}.gain2`, [width], 0)
      for (const q of 'qkvo') this.add(`${l}.${q}`, [width, width], 0.02)
      this.add(`${l}.up`, [width, 4 * width], 0.02)
      this.add(`${l}.down`, [4 * width, width], 0.02)
    }
    this.add('gain', [width], 0)
    this.add('projection', [width, teacherWidth], 0.02)
    const mask = new Float32Array(time * time)
    for (let i = 0; i < time; i++) mask.fill(-1e9, i * time + i + 1, (i + 1) * time)
    this.mask = tf.keep(tf.tensor2d(mask, [time, time]))
    const tokens = batch * time
    const fixed = (name: string, size: number) =>
      Array.from({ length: TEACHERS }, (_, k) => normals(`${name}.${k}`, tokens * size, 1))
    const table = (data: Float32Array, size: number) => tf.keep(tf.tensor2d(data, [data.length / size, size]))
    this.chunks = chunksOf(batch, time, vocab)
    const logits = fixed('logits', vocab)
    this.logits = this.chunks.map(({ from, size }) =>
      logits.map((data) => table(data.subarray(from * vocab, (from + size) * vocab), vocab)),
    )
    this.features = fixed('features', teacherWidth).map((data) => table(data, teacherWidth))
    this.optimizer = new AdamW(this.parameters, OPTIMIZER)
  }

  /** Does a step and resolves to its loss. */
  async run(step: number): Promise<number> {
    const { batch } = this.c
    const [tokens, next] = [this.draw(31, step), this.draw(17, step)]
    const compute = () => {
      const inputs = tf.tensor1d(tokens, 'int32')
      const labels = this.chunks.map(({ from, size }) =>
        tf.tensor1d(next.subarray(from, from + size), 'int32'),
      )
      const sequences = batch / this.chunks.length
      const targets = this.logits.map((logits) => fuseTeachers(WEIGHTING, 1, logits, sequences))
      const half = this.precision === 'f16'
      const scale = half ? tf.scalar(LOSS_SCALE) : undefined
      const unscaled = <T extends tf.Tensor>(x: T) => (scale ? tf.div<T>(x, scale) : x)
      const { value, grads } = tf.variableGrads(() => {
        const loss = this.loss(inputs, labels, targets, scale)
        return scale ? tf.mul(loss, scale) : loss
      }, [...this.parameters.values()])
      const gradients = new Map([...this.parameters].map(([name, v]) => [name, unscaled(grads[v.name]!)]))
      return { gradients, metrics: tf.reshape(unscaled(value), [1]) as tf.Tensor1D }
    }
    const recurring = { key: '', arrays: [tokens, next] }
    if (this.precision === 'f16') return this.inHalf(compute, step, recurring)
    const { metrics } = await this.optimizer.step(compute, step, RATE, recurring)
    return metrics[0]!
  }

  /** As a run does it: the gradients in half precision, the update, which is not, a graph of its own. */
  private async inHalf(
    compute: () => Computed,
    step: number,
    recurring: Parameters<AdamW['step']>[3],
  ): Promise<number> {
    this.sum ??= gradientSum(this.optimizer, 1)
    const [loss] = await inHalf(() => this.sum!.add(compute, recurring))
    const gradients = this.sum.mean()
    await this.optimizer.step(() => ({ gradients }), step, RATE)
    return loss!
  }

  dispose(): void {
    this.optimizer.dispose()
    tf.dispose([...this.parameters.values(), this.mask, ...this.logits.flat(), ...this.features])
  }

  /** Token ids that are others in each step. */
  private draw(stride: number, step: number): Int32Array {
    const { vocab, batch, time } = this.c
    const ids = new Int32Array(batch * time)
    for (const i of ids.keys()) ids[i] = (i * stride + step) % vocab
    return ids
  }

  private loss(
    inputs: tf.Tensor1D,
    labels: tf.Tensor1D[],
    targets: FusedTarget[],
    scale?: tf.Scalar,
  ): tf.Scalar {
    const hidden = this.forward(inputs)
    const lossOf = (logits: tf.Tensor2D, i: number) =>
      mixedLoss(logits, labels[i]!, targets[i]!.p, tf.scalar(0), { lambda: 0.7, tau: 1 })
    const { loss } = chunkedLoss(hidden, this.of('embedding'), this.chunks, lossOf, { scale })
    const projected = tf.matMul<tf.Tensor2D>(hidden, this.of('projection'))
    const aligned = this.features
      .map((feature) => meanSquaredError(projected, feature))
      .reduce((a, b) => tf.add(a, b))
    return tf.add(loss, tf.mul(aligned, 0.1))
  }

  /** [tokens] to the final hidden states, [tokens, width]. */
  private forward(inputs: tf.Tensor1D): tf.Tensor2D {
    const { width, layers, heads, time, batch } = this.c
    const size = width / heads
    const split = (y: tf.Tensor): tf.Tensor4D =>
      tf.transpose(tf.reshape(y, [batch, time, heads, size]), [0, 2, 1, 3])
    const norm = (y: tf.Tensor2D, name: string) => {
      const gain: tf.Tensor1D = tf.add(this.parameters.get(name)!, 1)
      return rmsNorm(y, gain, 1e-5)
    }
    let x = tf.gather(this.of('embedding'), inputs) as tf.Tensor2D
    for (let l = 0; l < layers; l++) {
      const h = norm(x, `${l}.gain1`)
      // The queries are scaled by their weights, which are fewer.
      const scaled = tf.mul(this.of(`${l}.q`), 1 / Math.sqrt(size))
      const weights = [scaled, this.of(`${l}.k`), this.of(`${l}.v`)]
      const [q, k, v] = weights.map((weight) => split(tf.matMul(h, weight, false, true)))
      const mixed = causalAttention(q!, k!, v!, this.mask)
      const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * time, width]) as tf.Tensor2D
      x = tf.add(x, tf.matMul(joined, this.of(`${l}.o`), false, true))
      // x sigmoid(GELU x) = swish(GELU x) / GELU: both factors go to the weights as well.
      const inner = tf.matMul<tf.Tensor2D>(norm(x, `${l}.gain2`), tf.mul(this.of(`${l}.up`), GELU))
      x = tf.add(x, tf.matMul(swish(inner), tf.div<tf.Tensor2D>(this.of(`${l}.down`), GELU)))
    }
    return norm(x, 'gain')
  }

  private of(name: string): tf.Tensor2D {
    return this.parameters.get(name) as unknown as tf.Tensor2D
  }

  private add(name: string, shape: number[], deviation: number): void {
    const size = shape.reduce((a, b) => a * b)
    const initial = tf.tensor(normals(name, size, deviation), shape)
    this.parameters.set(name, tf.variable(initial))
    initial.dispose()
  }
}

function normals(name: string, size: number, deviation: number): Float32Array {
  if (!deviation) return new Float32Array(size)
  const random = createRandom(1, `bench/${name}`)
  return Float32Array.from({ length: size }, () => random.normal() * deviation)
}

/** ENGINE.md's count: 6 a matmul weight and token, attention 12 tokens time width a layer, forward and backward. */
export function stepFlops({ vocab, width, layers, time, batch, teacherWidth }: Configuration): number {
  const tokens = batch * time
  const weights = layers * 12 * width * width + vocab * width + width * teacherWidth
  return 6 * tokens * weights + 12 * tokens * time * width * layers
}
