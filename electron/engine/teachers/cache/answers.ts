import { join } from 'node:path'
import { hiddenWidth, type Teacher } from '#contract'
import { bytesPerToken, inFull, statisticsBytes, teacherCacheFolder } from '../../../files'
import { BlockFile } from './blockFile'
import { decode, DecodedMemory, encode, floatsOf, type Coding } from './codec'
import type { Disk } from './disk'
import { fromHalf, toHalf } from './half'

export interface TokenIds {
  inputs: Int32Array
  targets: Int32Array
  /** Where sequences hold several examples, each token's in its own. */
  positions?: Int32Array
}

/** A sequence of batches that a run reads, and the cache's key of the teacher's answers to them. */
export interface CachedSplit {
  key: string
  /** Names of the corpora that the batches are of. */
  corpora: readonly string[]
  count: number
  at(batch: number): TokenIds
  coding: Coding
  /** Layers whose hidden states are read too. */
  layers: readonly number[]
  /** Layers whose hidden states are kept beside them for others, where they are computed. */
  sharedLayers: readonly number[]
}

/** What the files of all of a teacher's splits have in common. */
export interface CacheShape {
  dataDir: string
  row: Teacher
  /** Reads and writes; of all the run's teachers, and closed by whoever opened it. */
  disk: Disk
  /** Of a batch. */
  tokens: number
  /** The run's, at which approximations are kept; what is exact is kept at temperature 1. */
  tau: number
}

/** A batch's answers. */
export interface Block {
  /** [tokens, vocab]; undefined of states */
  logits?: Float32Array
  /** What the teacher's head makes its logits of, [tokens, width]. */
  states?: Float32Array
  /** Entropy, then label's log-probability, of every token; none of states. */
  statistics: Float32Array
  /** Of the log-probabilities that the logits are once they are divided by it, and of the entropy. */
  temperature: number
  /** Of the layers that are read, [tokens, width] each. */
  hidden: Map<number, Float32Array>
}

/**
 * What a teacher says of one split, in the files of `cache/teachers/<key>`: distributions with their statistics, and a
 * file of hidden states a layer.
 */
export class Answers {
  readonly folder: string
  private readonly logits: BlockFile
  private readonly hidden: ReadonlyMap<number, BlockFile>
  /** For others: written, never read. */
  private readonly shared: ReadonlyMap<number, BlockFile>
  private readonly memory = new DecodedMemory()
  private readonly exact: boolean
  /** Of what is kept. */
  private readonly temperature: number

  constructor(
    readonly split: CachedSplit,
    private readonly shape: CacheShape,
  ) {
    const { key, coding, layers, sharedLayers } = split
    const { dataDir, tokens, disk, tau } = shape
    this.exact = inFull(coding)
    this.temperature = this.exact ? 1 : tau
    this.folder = teacherCacheFolder(dataDir, key)
    const size = tokens * bytesPerToken(coding)
    this.logits = new BlockFile(join(this.folder, this.fileName()), size, disk)
    this.hidden = this.files(layers)
    this.shared = this.files(sharedLayers.filter((layer) => !layers.includes(layer)))
  }

  /** What `write` takes is to be asked at: the temperature, and the layers whose states are kept. */
  get asked(): { tau: number; layers: number[]; states: boolean } {
    const states = this.split.coding.mode === 'states'
    return { states, tau: this.temperature, layers: [...this.hidden.keys(), ...this.shared.keys()] }
  }

  /** The batches that are not written, those whose writer died among them. What is damaged shows when it is read. */
  missing(): number[] {
    const files = [this.logits, ...this.hidden.values()]
    const gaps = new Set(files.flatMap((file) => file.missing(this.split.count)))
    return [...gaps].sort((a, b) => a - b)
  }

  /** Bytes that a batch takes in the files. */
  get bytesPerBatch(): number {
    return [this.logits, ...this.hidden.values(), ...this.shared.values()].reduce(
      (sum, { stride }) => sum + stride,
      0,
    )
  }

  /**
   * Resolves once they are in the files.
   *
   * @param said log-probabilities, the asked layers' states, entropies, labels' log-probabilities; of the mode `states`
   *   the last states in place of the first, and no statistics; copied before this
   *   returns
   * @throws failed when the disk is full
   */
  async write(batch: number, said: readonly Float32Array[]): Promise<unknown> {
    const { inputs } = this.split.at(batch)
    const { distributions, states } = this.pack(batch, said)
    const files = [...this.hidden.values(), ...this.shared.values()]
    const written = [this.logits.write(batch, distributions, inputs)]
    for (const [i, file] of files.entries()) written.push(file.write(batch, [states[i]!], inputs))
    return Promise.all(written)
  }

  /** What `read` would give of answers that were written; they go through the same coding. */
  kept(batch: number, said: readonly Float32Array[]): Block {
    const { distributions, states } = this.pack(batch, said)
    return this.unpack(Buffer.concat(distributions), states)
  }

  /** Undefined where it is not there or damaged. Valid until the second batch after it is asked for. */
  async read(batch: number): Promise<Block | undefined> {
    const { inputs } = this.split.at(batch)
    const [payload, ...states] = await Promise.all(
      [this.logits, ...this.hidden.values()].map((file) => file.read(batch, inputs)),
    )
    if (!payload || states.some((s) => !s)) return undefined
    return this.unpack(payload, states as Buffer[])
  }

  /** As they lie in the files: entropies, labels' log-probabilities and distributions, then each layer's states. */
  private pack(batch: number, [logP, ...rest]: readonly Float32Array[]) {
    const { coding, key } = this.split
    const layers = this.hidden.size + this.shared.size
    const packed = encode(coding, logP!, `teacher-cache/${key}/${batch}`)
    return {
      distributions: [...rest.slice(layers).map(bytesOf), packed],
      states: rest.slice(0, layers).map((states) => (this.exact ? bytesOf(states) : toHalf(states))),
    }
  }

  private unpack(payload: Buffer, states: readonly Buffer[]): Block {
    const { coding } = this.split
    const { tokens } = this.shape
    const ofStates = coding.mode === 'states'
    const head = ofStates ? 0 : tokens * statisticsBytes
    const memory = this.memory.next(coding, tokens)
    // The losses divide by tau what is the logarithm of a distribution at tau already.
    const table = decode(coding, payload.subarray(head), tokens, memory, this.shape.tau)
    return {
      ...(ofStates ? { states: table } : { logits: table }),
      statistics: floatsOf(payload.subarray(0, head)),
      temperature: this.temperature,
      hidden: new Map(
        [...this.hidden.keys()].map((layer, i) => [
          layer,
          this.exact ? floatsOf(states[i]!) : fromHalf(states[i]!),
        ]),
      ),
    }
  }

  private fileName(): string {
    const { mode, k, samples, states } = this.split.coding
    if (mode === 'states') return `states-${states!.half ? 'f16' : 'f32'}.bin`
    const kept = { exact: '', 'top-k': `-${k}`, sample: `-${samples}` }[mode]
    return this.exact ? 'exact.bin' : `${mode}${kept}-tau-${this.shape.tau}.bin`
  }

  private files(layers: readonly number[]): Map<number, BlockFile> {
    const { row, tokens, disk } = this.shape
    const size = tokens * hiddenWidth(row.model) * (this.exact ? 4 : 2)
    const path = (layer: number) => join(this.folder, `hidden-${layer}-${this.exact ? 'f32' : 'f16'}.bin`)
    return new Map(layers.map((layer) => [layer, new BlockFile(path(layer), size, disk)]))
  }
}

const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
