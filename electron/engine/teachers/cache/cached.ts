import { join } from 'node:path'
import { hiddenWidth, type CacheAbout, type Teacher } from '#contract'
import {
  bytesPerToken,
  readCacheAbout,
  statisticsBytes,
  takeFileLock,
  teacherCacheFolder,
  touchTeacherCache,
  WRITER_LOCK,
  writeCacheAbout,
} from '../../../files'
import { tf } from '../../backend/tf'
import type { Reading, TeacherSignal, TeacherSource } from '../source'
import { askTeacher } from './ask'
import { BlockFile } from './blockFile'
import { decode, DecodedMemory, encode, floatsOf, type Coding } from './codec'
import type { Disk } from './disk'
import { fromHalf, toHalf } from './half'

export interface TokenIds {
  inputs: Int32Array
  targets: Int32Array
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

export interface CachedTeacherOptions {
  dataDir: string
  row: Teacher
  /** The run that reads. */
  reader: string
  splits: ReadonlyMap<string, CachedSplit>
  /** Reads and writes; of all the run's teachers, and closed by whoever opened it. */
  disk: Disk
  /** Tokens of a batch, and of a sequence. */
  tokens: number
  context: number
  /** The run's, at which approximations are kept; what is exact is kept at temperature 1. */
  tau: number
  /** Opens the teacher itself: to write the cache, or where a block is damaged. */
  openLive(): Promise<TeacherSource>
  warn(message: string): void
  /** Computed at a time, at most, if a sequence has no more. */
  logits?: number
}

/** Files of one split: distributions with their statistics, and a file of hidden states a layer. */
interface Streams {
  folder: string
  logits: BlockFile
  hidden: Map<number, BlockFile>
  /** For others: written, never read. */
  shared: Map<number, BlockFile>
  memory: DecodedMemory
}

interface Block {
  split: string
  batch: number
  logits: Float32Array
  /** Entropy, then label's log-probability, of every token. */
  statistics: Float32Array
  /** Of the log-probabilities that the logits are once they are divided by it, and of the entropy. */
  temperature: number
  hidden: Map<number, Float32Array>
}

/** A teacher whose answers are read from `cache/teachers`; what is not there, or is damaged, it computes and keeps. */
export class CachedTeacher implements TeacherSource {
  readonly row: Teacher
  /** Tokens whose outputs were computed here, and those found in the cache, as far as it was filled. */
  readonly tokens = { computed: 0, reused: 0 }
  /** That computing took here, and that reading took less than computing would have. */
  seconds = 0
  secondsSaved = 0
  private readonly streams = new Map<string, Streams>()
  private readonly computedHere = new Set<string>()
  private readonly secondsPerToken = new Map<string, number>()
  private live: TeacherSource | undefined
  private current: { block: Block; first: number } | undefined
  /** A split's next block, being read. */
  private readonly ahead = new Map<string, { batch: number; block: Promise<Block | undefined> }>()

  constructor(private readonly options: CachedTeacherOptions) {
    this.row = options.row
    for (const [name, split] of options.splits) this.streams.set(name, this.openStreams(split))
  }

  /** Batches over all splits, and those of them that the cache lacks. */
  missing(): { all: number; missing: number } {
    let [all, missing] = [0, 0]
    for (const [name, { count }] of this.options.splits) {
      all += count
      missing += this.gaps(name).length
    }
    return { all, missing }
  }

  /**
   * Computes what is missing: one pass over the batches, which goes on where an earlier writer stopped.
   *
   * @param proceed asked before every batch; false leaves the rest for later
   * @returns false when another process is writing this teacher's outputs: come back later
   */
  async fill(proceed: () => Promise<boolean>, progress: (fraction: number) => void): Promise<boolean> {
    const { all } = this.missing()
    let done = 0
    for (const [name, split] of this.options.splits) {
      const { folder } = this.streams.get(name)!
      if (this.gaps(name).length) {
        const lock = takeFileLock(join(folder, WRITER_LOCK))
        if (!('release' in lock)) return false
        try {
          await this.write(name, split, proceed, (n) => progress((done + n) / all))
        } finally {
          lock.release()
        }
      }
      done += split.count
      const { dataDir, tokens, reader } = this.options
      const found = [...Array(split.count).keys()].filter(
        (i) => !this.computedHere.has(`${name}/${i}`),
      ).length
      this.tokens.reused += tokens * found
      const about = readCacheAbout(dataDir, split.key)
      this.secondsPerToken.set(name, about?.secondsPerToken ?? 0)
      if (about) touchTeacherCache(dataDir, split.key, found === split.count ? reader : undefined)
    }
    this.closeLive()
    return true
  }

  private async write(
    name: string,
    split: CachedSplit,
    proceed: () => Promise<boolean>,
    progress: (batches: number) => void,
  ): Promise<void> {
    const { dataDir, row, tokens } = this.options
    const about: CacheAbout = readCacheAbout(dataDir, split.key) ?? {
      schemaVersion: 1,
      teacher: row.name,
      corpora: [...split.corpora],
      split: name,
      tokens,
      createdAt: new Date().toISOString(),
    }
    writeCacheAbout(dataDir, split.key, about)
    // Another writer may have filled the gaps while the lock was sought.
    const gaps = this.gaps(name)
    let [seconds, timed] = [0, 0]
    let writing: Promise<unknown> | undefined
    for (const [n, batch] of gaps.entries()) {
      if (!(await proceed())) break
      const started = performance.now()
      // The teacher reads the next batch while this one is written.
      const { written } = await this.compute(name, batch)
      await writing
      writing = written
      this.tokens.computed += tokens
      const took = (performance.now() - started) / 1000
      this.seconds += took
      // The first batch compiles the graph.
      if (n > 0) {
        seconds += took
        timed += tokens
      }
      progress(split.count - gaps.length + n + 1)
    }
    await writing
    if (timed) writeCacheAbout(dataDir, split.key, { ...about, secondsPerToken: seconds / timed })
  }

  async prepare(inputs: Int32Array, reading?: Reading): Promise<void> {
    const { current } = this
    const plan = reading && this.options.splits.get(reading.split)
    // A batch that no cache was made for: the teacher itself answers.
    if (!plan || reading.batch >= plan.count) {
      this.live ??= await this.options.openLive()
      this.current = undefined
      return this.live.prepare?.(inputs)
    }
    const { split, batch, first } = reading
    if (current?.block.split === split && current.block.batch === batch) {
      this.current = { block: current.block, first }
      return
    }
    const started = performance.now()
    const ahead = this.ahead.get(split)
    this.ahead.delete(split)
    let block = await (ahead?.batch === batch ? ahead.block : this.read(split, batch))
    if (block && !this.computedHere.has(`${split}/${batch}`)) {
      const took = (performance.now() - started) / 1000
      this.secondsSaved += Math.max(0, (this.secondsPerToken.get(split) ?? 0) * this.options.tokens - took)
    }
    if (!block) {
      this.options.warn(
        `outputs of teacher "${this.row.name}" for batch ${batch + 1} of ${split} are damaged; computed anew`,
      )
      const { written } = await this.compute(split, batch)
      await written
      this.tokens.computed += this.options.tokens
      this.closeLive()
      block = await this.read(split, batch)
    }
    this.current = block && { block, first }
    if (batch + 1 < plan.count) this.readAhead(split, batch + 1)
  }

  prepared(): Float32Array[] | undefined {
    if (!this.current) return undefined
    const { logits, hidden, statistics } = this.current.block
    return [logits, ...hidden.values(), statistics]
  }

  signal(tokens: tf.Tensor2D): TeacherSignal {
    const { current, live } = this
    if (!current) return live!.signal(tokens)
    const rows = tokens.size
    const part = (data: Float32Array, width: number) =>
      tf.tensor2d(data.subarray(current.first * width, (current.first + rows) * width), [rows, width])
    const { block } = current
    const hidden: tf.Tensor2D[] = []
    for (const [layer, data] of block.hidden) hidden[layer] = part(data, hiddenWidth(this.row.model))
    const { statistics, temperature } = block
    const labelLoss = tf.neg<tf.Tensor2D>(part(statistics.subarray(statistics.length / 2), 1))
    return {
      logits: part(block.logits, this.row.model.vocab),
      normalisedAt: temperature,
      hidden,
      statistics: {
        labelLoss,
        ...(temperature === this.options.tau && {
          entropy: part(statistics.subarray(0, statistics.length / 2), 1),
        }),
      },
    }
  }

  dispose(): void {
    this.closeLive()
  }

  private readAhead(split: string, batch: number): void {
    const block = this.read(split, batch)
    // Its failure is told to whoever awaits it, which is at the next batch.
    block.catch(() => {})
    this.ahead.set(split, { batch, block })
  }

  private openStreams({ key, coding, layers, sharedLayers }: CachedSplit): Streams {
    const { dataDir, disk, tokens, row } = this.options
    const folder = teacherCacheFolder(dataDir, key)
    const exact = coding.mode === 'exact'
    const kept = { exact: '', 'top-k': `-${coding.k}`, sample: `-${coding.samples}` }[coding.mode]
    const name = exact ? 'exact' : `${coding.mode}${kept}-tau-${this.options.tau}`
    const size = tokens * hiddenWidth(row.model) * (exact ? 4 : 2)
    const states = (of: readonly number[]) =>
      new Map(
        of.map((layer) => {
          const file = join(folder, `hidden-${layer}-${exact ? 'f32' : 'f16'}.bin`)
          return [layer, new BlockFile(file, size, disk)] as const
        }),
      )
    return {
      folder,
      memory: new DecodedMemory(),
      logits: new BlockFile(
        join(folder, `${name}.bin`),
        tokens * bytesPerToken(coding.mode, coding.vocab, coding),
        disk,
      ),
      hidden: states(layers),
      shared: states(sharedLayers.filter((layer) => !layers.includes(layer))),
    }
  }

  private gaps(name: string): number[] {
    const { count } = this.options.splits.get(name)!
    const { logits, hidden } = this.streams.get(name)!
    const gaps = new Set([logits, ...hidden.values()].flatMap((file) => file.missing(count)))
    return [...gaps].sort((a, b) => a - b)
  }

  /** One pass over the batch, kept in all streams; `written` once it is in their files. */
  private async compute(name: string, batch: number): Promise<{ written: Promise<unknown> }> {
    const { splits, context, tau } = this.options
    const { at, coding, key } = splits.get(name)!
    const streams = this.streams.get(name)!
    const hiddenFiles = [...streams.hidden, ...streams.shared]
    const { inputs, targets } = at(batch)
    const live = (this.live ??= await this.options.openLive())
    const exact = coding.mode === 'exact'
    const layers = hiddenFiles.map(([layer]) => layer)
    const question = { inputs, targets, context, layers, tau: exact ? 1 : tau }
    const [distributions, ...rest] = await askTeacher(live, question, this.options.logits)
    const hidden = rest.slice(0, hiddenFiles.length)
    const statistics = rest.slice(hiddenFiles.length).map(bytesOf)
    const packed = encode(coding, distributions!, `teacher-cache/${key}/${batch}`)
    const written = [streams.logits.write(batch, [...statistics, packed], inputs)]
    for (const [i, [, file]] of hiddenFiles.entries()) {
      const states = hidden[i]!
      written.push(file.write(batch, [exact ? bytesOf(states) : toHalf(states)], inputs))
    }
    this.computedHere.add(`${name}/${batch}`)
    const all = Promise.all(written)
    // Its failure is told to whoever awaits it, which is after the next batch.
    all.catch(() => {})
    return { written: all }
  }

  private async read(name: string, batch: number): Promise<Block | undefined> {
    const { splits, tokens, tau } = this.options
    const { at, coding } = splits.get(name)!
    const { inputs } = at(batch)
    const streams = this.streams.get(name)!
    const [payload, ...states] = await Promise.all(
      [streams.logits, ...streams.hidden.values()].map((file) => file.read(batch, inputs)),
    )
    if (!payload || states.some((s) => !s)) return undefined
    const head = tokens * statisticsBytes
    // The losses divide by tau what is the logarithm of a distribution at tau already.
    const logits = decode(coding, payload.subarray(head), tokens, streams.memory.next(coding, tokens), tau)
    const statistics = floatsOf(payload.subarray(0, head))
    const hidden = new Map(
      [...streams.hidden.keys()].map((layer, i) => [
        layer,
        coding.mode === 'exact' ? floatsOf(states[i]!) : fromHalf(states[i]!),
      ]),
    )
    return { split: name, batch, logits, statistics, temperature: coding.mode === 'exact' ? 1 : tau, hidden }
  }

  private closeLive(): void {
    this.live?.dispose()
    this.live = undefined
  }
}

const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
