import { tf } from '../backend/tf'
import { median } from './models'

const SIZE = 1024
const PRODUCTS = 4
const FLOPS = 2 * SIZE ** 3 * PRODUCTS
/** Runs of a sample, the fastest of which counts: the first finds its memory and caches full of other things. */
const RUNS = 3

/** The speed of large matrix products alone, the most that a training step could reach. */
export class Ceiling {
  private readonly samples: number[] = []
  // Entries of variance 1 / size: a product of many such matrices keeps its size.
  private readonly matrix = tf.keep(
    tf.randomNormal<tf.Rank.R2>([SIZE, SIZE], 0, 1 / Math.sqrt(SIZE), 'float32', 1),
  )

  async sample(): Promise<void> {
    let best = 0
    for (let i = 0; i < RUNS; i++) best = Math.max(best, await this.run())
    this.samples.push(best)
  }

  /** GFLOP/s of one run. */
  private async run(): Promise<number> {
    const started = performance.now()
    const corner = tf.tidy(() => {
      let product: tf.Tensor2D = this.matrix
      for (let i = 0; i < PRODUCTS; i++) product = tf.matMul(product, this.matrix)
      return tf.slice(product, [0, 0], [1, 1])
    })
    await corner.data()
    corner.dispose()
    return FLOPS / (performance.now() - started) / 1e6
  }

  /** GFLOP/s, the median of all samples but the first, which compiled it. */
  gflops(): number {
    return median(this.samples.slice(1))
  }
}
