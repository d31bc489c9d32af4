import { rotaries, windowsOf, type ModelConfig } from '#contract'
import { newReplay } from '../backend'
import type { Replay } from '../backend/replay'
import { tf } from '../backend/tf'
import { decoderPass, LANES, type PassInput, type RotationData } from './decoderPass'
import { FORBIDDEN, maskOf, type Parameters } from './forward'
import { bucket, KvCache, type Place } from './kvCache'
import type { Reading, TextReader, Turn } from './reader'
import { rotaryRows, turningPoint } from './rotary'

/** Numbers of slots that a pass looks at: a graph is compiled for each. */
const SLOTS = [2, 8, LANES]
/** Numbers of texts that are begun together, as far as they have no more tokens than that. */
const BEGINNINGS = [16, 4, 1]
const MOST_TOKENS = 512
/** Numbers before the others of a pass: the first counts passes, so that Replay tells one from the next. */
const BEFORE = 64

interface Text {
  slot: number
  ids: number[]
}

/**
 * Reads texts against a KV cache. The beginnings of some texts make one pass, a token of each of the texts that are read on
 * makes another; lengths are rounded up to a few sizes, so that a handful of compiled graphs serve every position.
 *
 * A pass gets the cache as an input and gives the keys and values of the new tokens only, which are then written in their
 * places: the cache is never copied, nor are the weights. What it says of a text has the same bits whatever is read
 * beside it, unless it is read alone.
 */
export class Decoder implements TextReader {
  readonly width: number
  private readonly texts = new Map<number, Text>()
  private readonly cache: KvCache
  private readonly windows: ReadonlySet<number>
  private readonly alone: boolean
  /** By the shape of a pass: those of one shape are alike but for their data. */
  private readonly replays = new Map<string, Replay>()
  /** Of beginnings, by their lengths. */
  private readonly masks = new Map<number, Map<number, tf.Tensor2D>>()
  private passes = 0

  /** @param parameters must stay as they are while the decoder is used; it does not dispose of them */
  constructor(
    private readonly config: ModelConfig,
    private readonly parameters: Parameters,
    { texts, length }: Reading = { texts: 'one', length: config.context },
  ) {
    this.alone = texts === 'one'
    this.cache = new KvCache(config, texts === 'one' ? 1 : Math.min(texts, LANES), length)
    this.width = this.cache.slots
    this.windows = windowsOf(config)
  }

  get context(): number {
    return this.config.context
  }

  position(text: number): number {
    return this.texts.get(text)?.ids.length ?? 0
  }

  forget(text: number): void {
    const gone = this.texts.get(text)
    if (!gone) return
    this.texts.delete(text)
    // Those that are left stand in the first slots.
    const last = [...this.texts.values()].find(({ slot }) => slot === this.texts.size)
    if (!last || gone.slot === this.texts.size) return
    this.cache.move(last.slot, gone.slot)
    last.slot = gone.slot
  }

  dispose(): void {
    tf.dispose([...this.masks.values()].flatMap((masks) => [...masks.values()]))
  }

  async read(turns: readonly Turn[]): Promise<Float32Array[]> {
    const said = new Map<number, Float32Array>()
    const goOn = turns.filter((turn) => turn.ids.length === 1 && this.goesOn(turn))
    if (goOn.length) await this.step(goOn, said)
    const beginnings = turns
      .filter(({ text }) => !said.has(text))
      .map(({ text, ids }) => ({ text, ids: [...(this.texts.get(text)?.ids ?? []), ...ids] }))
    for (const { text } of beginnings) this.forget(text)
    const byLength = new Map<number, Turn[]>()
    for (const turn of beginnings) {
      const { length } = turn.ids
      const count = length === 1 && this.alone ? 1 : bucket(length, LANES, Infinity)
      byLength.set(count, [...(byLength.get(count) ?? []), turn])
    }
    for (const [count, own] of byLength) {
      // Longer ones each alone: the runtime would cut their sums by how many there are.
      const sizes = BEGINNINGS.filter((size) => size === 1 || size * count <= MOST_TOKENS)
      for (let at = 0; at < own.length;) {
        const size = sizes.find((size) => size <= own.length - at)!
        await this.begin(own.slice(at, (at += size)), count, said)
      }
    }
    return turns.map(({ text }) => said.get(text)!)
  }

  /** Whether the keys that are kept are those of the longer text too: at a turning point they were turned otherwise. */
  private goesOn({ text, ids }: Turn): boolean {
    const turning = turningPoint(this.config)
    const position = this.position(text)
    return position > 0 && !(position <= turning && position + ids.length > turning)
  }

  /** Reads a token of each of some texts. */
  private async step(turns: readonly Turn[], said: Map<number, Float32Array>): Promise<void> {
    const { cache, config } = this
    const slots = this.alone
      ? 1
      : Math.min(
          SLOTS.find((size) => size >= this.texts.size)!,
          this.width,
        )
    const texts = this.alone ? 1 : LANES
    const { room } = cache
    const numbers = this.numbers(texts, 1, slots * room)
    for (const { text, ids } of turns) {
      const { slot, ids: before } = this.texts.get(text)!
      const position = before.length
      numbers.set(slot, ids, position)
      for (const [window, mask] of numbers.masks) {
        mask.fill(FORBIDDEN, slot * room + position, (slot + 1) * room)
        mask.fill(FORBIDDEN, slot * room, slot * room + Math.max(0, position + 1 - window))
      }
    }
    const layers = Array.from({ length: config.layers }, (_, layer) => layer)
    const past = {
      slots,
      room,
      keys: layers.map((layer) => cache.keys(layer, slots)),
      values: layers.map((layer) => cache.values(layer, slots)),
      masks: numbers.masks,
    }
    const arrays = [numbers.integers, numbers.floats, cache.data]
    const input = { texts, count: 1, ...numbers, past }
    const { logits, fresh } = await this.run(`${slots}/${room}`, arrays, input)
    const places = turns.map(({ text, ids }): Place => {
      const own = this.texts.get(text)!
      const place = { row: own.slot, slot: own.slot, position: own.ids.length, count: 1 }
      own.ids.push(...ids)
      said.set(text, logits.subarray(own.slot * config.vocab, (own.slot + 1) * config.vocab))
      return place
    })
    cache.write({ data: fresh, rows: slots, stride: 1 }, places)
  }

  /** Reads texts from their first tokens on, each padded to `count`. */
  private async begin(turns: readonly Turn[], count: number, said: Map<number, Float32Array>): Promise<void> {
    const { cache, config } = this
    const numbers = this.numbers(turns.length, count, 0)
    const last = numbers.integers.subarray(1, 1 + (this.alone ? 1 : LANES))
    for (const [row, { ids }] of turns.entries()) {
      numbers.set(row, ids, 0)
      last[row] = row * count + ids.length - 1
    }
    const past = { last, masks: this.masksOf(count) }
    const input = { texts: turns.length, count, ...numbers, past }
    const arrays = [numbers.integers, numbers.floats]
    const { logits, fresh } = await this.run(`${turns.length}x${count}`, arrays, input)
    const places = turns.map(({ text, ids }, row): Place => {
      const slot = this.texts.size
      this.texts.set(text, { slot, ids: [...ids] })
      said.set(text, logits.subarray(row * config.vocab, (row + 1) * config.vocab))
      return { row, slot, position: 0, count: ids.length }
    })
    cache.write({ data: fresh, rows: turns.length, stride: count }, places)
  }

  /** Numbers of a pass in two arrays, and the parts that its tensors are made of. */
  private numbers(texts: number, count: number, mask: number) {
    const { config } = this
    const tokens = texts * count
    const tables = rotaries(config)
    const dimensions = tables.reduce((sum, table) => sum + table.dimensions, 0)
    const floats = new Float32Array(BEFORE + 2 * tokens * dimensions + mask * this.windows.size)
    const integers = new Int32Array(BEFORE + 2 * tokens)
    floats[0] = integers[0] = ++this.passes
    let at = BEFORE
    const part = (size: number) => floats.subarray(at, (at += size))
    const rotations = tables.map(({ dimensions }): RotationData => {
      const size = tokens * dimensions
      return { dimensions, cosine: part(size), sine: part(size) }
    })
    const masks = new Map(mask ? [...this.windows].map((window) => [window, part(mask)]) : [])
    const ids = integers.subarray(BEFORE, BEFORE + tokens)
    const positions = integers.subarray(BEFORE + tokens)
    /** The tokens of a text of the pass, from a position on. */
    const set = (text: number, own: readonly number[], position: number) => {
      ids.set(own, text * count)
      for (let i = 0; i < own.length; i++) positions[text * count + i] = position + i
      for (const [i, rows] of rotaryRows(config, position, own.length, position + own.length).entries()) {
        const begin = text * count * rotations[i]!.dimensions
        rotations[i]!.cosine.set(rows.cosine, begin)
        rotations[i]!.sine.set(rows.sine, begin)
      }
    }
    return { floats, integers, ids, positions, rotations, masks, set }
  }

  private masksOf(count: number): ReadonlyMap<number, tf.Tensor2D> {
    let masks = this.masks.get(count)
    if (!masks) {
      const mask = (window: number) => tf.keep(tf.tensor2d(maskOf(count, window), [count, count]))
      masks = new Map([...this.windows].map((window) => [window, mask(window)]))
      this.masks.set(count, masks)
    }
    return masks
  }

  private async run(key: string, arrays: (Float32Array | Int32Array)[], input: PassInput) {
    const compute = () => decoderPass(this.config, this.parameters, input)
    let said: ReadonlyMap<string, tf.Tensor> = new Map()
    if (tf.getBackend() === 'onnx') {
      if (!this.replays.has(key)) this.replays.set(key, newReplay())
      said = await this.replays.get(key)!.run({ key, arrays, compute })
    } else {
      tf.tidy(() => {
        said = compute()
        said.forEach((tensor) => tf.keep(tensor))
      })
    }
    const [logits, fresh] = [said.get('logits')!, said.get('fresh')!]
    const numbers = [(await logits.data()) as Float32Array, (await fresh.data()) as Float32Array] as const
    tf.dispose([logits, fresh])
    return { logits: numbers[0], fresh: numbers[1] }
  }
}
