import { badInput, type ModelConfig } from '#contract'
import { tf } from '../backend/tf'
import { createRandom, type Random } from '../random'
import { rmsNorm, rotate } from './layers'
import { repeatHeads, ropeTables } from './llama'
import { EMBEDDING, FINAL_NORM, HEAD, layerWeight, type LayerWeight } from './weights'

type Parameters = ReadonlyMap<string, tf.Tensor>

export interface GenerateOptions {
  config: ModelConfig
  parameters: Parameters
  /** Begins with BOS. */
  promptIds: readonly number[]
  tokens: number
  /** 0 is greedy. */
  temperature: number
  /** Nucleus: the smallest set of tokens whose probability reaches this. */
  topP: number
  seed: number
  /** Ends the text early, not part of it. */
  stopIds?: readonly number[]
  onToken?: (id: number) => void
}

/**
 * Continues a prompt with a KV cache of fixed length, so that one compiled graph serves every position. When the
 * context is full, the last half of it is read anew and generation goes on from there.
 */
export async function generate(
  options: GenerateOptions,
): Promise<{ ids: number[]; tokensPerSecond: number }> {
  const { config, parameters, promptIds, tokens, temperature, topP, seed, stopIds = [], onToken } = options
  if (!promptIds.length) throw badInput('the prompt is empty', { field: 'prompt' })
  const random = createRandom(seed, 'generate')
  const started = performance.now()
  const decoder = new Decoder(config, parameters)
  const ids: number[] = []
  try {
    const window = promptIds.slice(-config.context)
    let logits = await decoder.read(window)
    while (ids.length < tokens) {
      const id = temperature === 0 ? argMax(logits) : sample(logits, temperature, topP, random)
      if (stopIds.includes(id)) break
      ids.push(id)
      window.push(id)
      onToken?.(id)
      if (ids.length === tokens) break
      if (decoder.position === config.context) {
        window.splice(0, window.length - Math.floor(config.context / 2))
        decoder.reset()
        logits = await decoder.read(window)
      } else {
        logits = await decoder.read([id])
      }
    }
  } finally {
    decoder.dispose()
  }
  return { ids, tokensPerSecond: ids.length / ((performance.now() - started) / 1000) }
}

/** Reads tokens one after the other, each against the keys and values of those before it. */
class Decoder {
  /** Tokens read. */
  position = 0
  private readonly rope: ReturnType<typeof ropeTables>
  private readonly size: number
  /** Keys and values of each layer, [1, kvHeads, context, head size]. */
  private caches: tf.Tensor4D[] = []

  constructor(
    private readonly config: ModelConfig,
    private readonly parameters: Parameters,
  ) {
    this.size = config.width / config.heads
    this.rope = ropeTables(config, config.context)
    this.reset()
  }

  reset(): void {
    this.dispose()
    const { layers, kvHeads, context } = this.config
    this.position = 0
    const zeros = () => tf.keep(tf.zeros([1, kvHeads, context, this.size]) as tf.Tensor4D)
    this.caches = Array.from({ length: 2 * layers }, zeros)
  }

  dispose(): void {
    tf.dispose(this.caches)
    this.caches = []
  }

  /** Reads the tokens; resolves to the logits [vocab] of what comes after the last. */
  async read(ids: readonly number[]): Promise<Float32Array> {
    let values = new Float32Array()
    for (const id of ids) {
      const [logits, ...caches] = tf.tidy(() => this.step(id))
      tf.dispose(this.caches)
      this.caches = caches.map((cache) => tf.keep(cache as tf.Tensor4D))
      values = (await logits!.data()) as Float32Array<ArrayBuffer>
      logits!.dispose()
      this.position++
    }
    return values
  }

  /** The same mathematics as `forward`, for one token at the current position. */
  private step(id: number): tf.Tensor[] {
    const { config, parameters, position, size } = this
    const { context, heads, kvHeads, width } = config
    const row = (table: Float32Array) =>
      tf.tensor2d(table.subarray(position * size, (position + 1) * size), [1, size])
    const tables = { cosine: row(this.rope.cosine), sine: row(this.rope.sine) }
    const here = Float32Array.from({ length: context }, (_, t) => (t === position ? 1 : 0))
    const at = tf.tensor4d(here, [1, 1, context, 1])
    const elsewhere = tf.sub(1, at)
    const mask = tf.tensor1d(Float32Array.from({ length: context }, (_, t) => (t <= position ? 0 : -1e9)))
    const scale = tf.scalar(1 / Math.sqrt(size))

    const embedding = parameters.get(EMBEDDING) as tf.Tensor2D
    let x = tf.gather(embedding, tf.tensor1d([id], 'int32')) as tf.Tensor2D
    const caches: tf.Tensor[] = []
    for (let layer = 0; layer < config.layers; layer++) {
      const get = (which: LayerWeight) => parameters.get(layerWeight(layer, which))!
      const linear = (input: tf.Tensor2D, which: LayerWeight) =>
        tf.matMul(input, get(which) as tf.Tensor2D, false, true)
      const normal = rmsNorm(x, get('attentionNorm') as tf.Tensor1D, config.normEpsilon)
      const query = rotate(tf.reshape(linear(normal, 'query'), [1, heads, 1, size]), tables)
      const newKey = rotate(tf.reshape(linear(normal, 'key'), [1, kvHeads, 1, size]), tables)
      const newValue = tf.reshape(linear(normal, 'value'), [1, kvHeads, 1, size])
      const [key, value] = [newKey, newValue].map((fresh, i) => {
        const old = this.caches[2 * layer + i]!
        return tf.add(tf.mul(old, elsewhere), tf.mul(fresh, at)) as tf.Tensor4D
      })
      caches.push(key!, value!)
      const scores = tf.add(tf.mul(tf.matMul(query, repeatHeads(key!, heads), false, true), scale), mask)
      const mixed = tf.matMul(tf.softmax(scores), repeatHeads(value!, heads))
      const attended = tf.add(x, linear(tf.reshape(mixed, [1, width]), 'output')) as tf.Tensor2D
      const second = rmsNorm(attended, get('feedForwardNorm') as tf.Tensor1D, config.normEpsilon)
      const gate = linear(second, 'gate')
      const inner = tf.mul(tf.mul(gate, tf.sigmoid(gate)), linear(second, 'up')) as tf.Tensor2D
      x = tf.add(attended, linear(inner, 'down'))
    }
    const last = rmsNorm(x, parameters.get(FINAL_NORM) as tf.Tensor1D, config.normEpsilon)
    const head = config.tied ? embedding : (parameters.get(HEAD) as tf.Tensor2D)
    return [tf.reshape(tf.matMul(last, head, false, true), [config.vocab]), ...caches]
  }
}

function argMax(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** Draws from softmax(logits / temperature), cut to its nucleus (Holtzman et al. 2020). */
export function sample(logits: Float32Array, temperature: number, topP: number, random: Random): number {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const weights = Array.from(logits, (z) => Math.exp((z - max) / temperature))
  const total = weights.reduce((a, b) => a + b)
  const order = weights.map((_, i) => i).sort((a, b) => weights[b]! - weights[a]! || a - b)
  let kept = 0
  let mass = 0
  while (kept < order.length && mass < topP * total) mass += weights[order[kept++]!]!
  let draw = random.next() * mass
  for (const id of order.slice(0, kept)) {
    draw -= weights[id]!
    if (draw < 0) return id
  }
  return order[kept - 1]!
}
