import { join } from 'node:path'
import type { CacheAbout, ServerHealth, Teacher } from '#contract'
import {
  freeBytes,
  isDiskFull,
  megabytes,
  readCacheAbout,
  removeTeacherCache,
  takeFileLock,
  touchTeacherCache,
  WRITER_LOCK,
  writeCacheAbout,
} from '../../../files'
import { tf } from '../../backend/tf'
import type { Head } from '../../model/forward'
import type { Reading, SignalOptions, TeacherSignal, TeacherSource } from '../source'
import { Answers, type Block, type CachedSplit, type CacheShape } from './answers'
import { askTeacher } from './ask'
import { signalOf } from './signal'

export interface CachedTeacherOptions extends CacheShape {
  /** The run that reads. */
  reader: string
  splits: ReadonlyMap<string, CachedSplit>
  /** Tokens of a sequence. */
  context: number
  /** Bytes that must stay free on the disk: what the run itself is going to write. */
  reserve?: number
  /** Opens the teacher itself: to write the cache, or where a block is damaged or there is no room for it. */
  openLive(): Promise<TeacherSource>
  /** The teacher's head, for whoever reads its states; it is kept, and disposed of here. */
  openHead?(): Promise<Head>
  warn(message: string): void
  /** Computed at a time, at most, if a sequence has no more. */
  logits?: number
}

/**
 * A teacher whose answers are read from `cache/teachers`; what is not there, or is damaged, it computes and keeps. Where
 * the disk has no room for them it computes them as they are asked for: the same answers, bit for bit.
 */
export class CachedTeacher implements TeacherSource {
  readonly row: Teacher
  /** Tokens whose outputs were computed here, and those found in the cache, as far as it was filled. */
  readonly tokens = { computed: 0, reused: 0 }
  /** That computing took here, and that reading took less than computing would have. */
  seconds = 0
  secondsSaved = 0
  private readonly answers = new Map<string, Answers>()
  private readonly computedHere = new Set<string>()
  private readonly secondsPerToken = new Map<string, number>()
  /** Splits that the disk has no room for. */
  private readonly unkept = new Set<string>()
  private live: TeacherSource | undefined
  private head: Head | undefined
  /** Of its server, when it was last looked at. */
  private health: ServerHealth | undefined
  private current: { split: string; batch: number; block: Block; first: number } | undefined
  /** A split's next block, being read. */
  private readonly ahead = new Map<string, { batch: number; block: Promise<Block | undefined> }>()

  constructor(private readonly options: CachedTeacherOptions) {
    this.row = options.row
    for (const [name, split] of options.splits) this.answers.set(name, new Answers(split, options))
  }

  /** Batches over all splits, and those of them that the cache lacks. */
  missing(): { all: number; missing: number } {
    let [all, missing] = [0, 0]
    for (const [name, { count }] of this.options.splits) {
      all += count
      missing += this.answers.get(name)!.missing().length
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
      const answers = this.answers.get(name)!
      if (answers.missing().length && this.hasRoom(name)) {
        const tell = (batches: number) => progress((done + batches) / all)
        if (!(await this.writeIfFree(name, split, proceed, tell))) return false
      }
      done += split.count
      const { dataDir, tokens, reader } = this.options
      const absent = new Set(this.unkept.has(name) ? answers.missing() : [])
      const found = [...Array(split.count).keys()].filter(
        (i) => !absent.has(i) && !this.computedHere.has(`${name}/${i}`),
      ).length
      this.tokens.reused += tokens * found
      const about = readCacheAbout(dataDir, split.key)
      this.secondsPerToken.set(name, about?.secondsPerToken ?? 0)
      if (about) touchTeacherCache(dataDir, split.key, found === split.count ? reader : undefined)
    }
    this.closeLive()
    return true
  }

  /** Whether the disk has room for what is missing; that it has not is told once. */
  private hasRoom(name: string): boolean {
    const { reserve = 0 } = this.options
    const answers = this.answers.get(name)!
    const bytes = answers.missing().length * answers.bytesPerBatch
    const free = freeBytes(answers.folder)
    if (free === undefined || bytes + reserve <= free) return true
    this.leave(
      name,
      `they take ${megabytes(bytes)}, the run ${megabytes(reserve)}, ${megabytes(free)} are free`,
    )
    return false
  }

  private leave(name: string, why: string): void {
    if (this.unkept.has(name)) return
    this.unkept.add(name)
    this.options.warn(
      `outputs of teacher "${this.row.name}" for ${name} are not kept in ${this.answers.get(name)!.folder} (${why}); it is asked for each batch instead`,
    )
  }

  /** @returns false when another process is writing them */
  private async writeIfFree(
    name: string,
    split: CachedSplit,
    proceed: () => Promise<boolean>,
    progress: (batches: number) => void,
  ): Promise<boolean> {
    const { dataDir } = this.options
    const fresh = !readCacheAbout(dataDir, split.key)
    let lock: ReturnType<typeof takeFileLock> | undefined
    try {
      lock = takeFileLock(join(this.answers.get(name)!.folder, WRITER_LOCK))
      if (!('release' in lock)) return false
      await this.write(name, split, proceed, progress)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.leave(name, (error as Error).message)
      // The run needs the room more than a part of what it will ask for again.
      if (fresh) {
        removeTeacherCache(dataDir, split.key)
        for (const key of this.computedHere) if (key.startsWith(`${name}/`)) this.computedHere.delete(key)
      }
    } finally {
      if (lock && 'release' in lock) lock.release()
    }
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
    const gaps = this.answers.get(name)!.missing()
    let [seconds, timed] = [0, 0]
    let writing: Promise<unknown> | undefined
    for (const [n, batch] of gaps.entries()) {
      if (!(await proceed())) break
      const started = performance.now()
      // The teacher reads the next batch while this one is written.
      const said = await this.ask(name, batch).catch(async (error: unknown) => {
        // What was answered before is not lost.
        await writing
        throw error
      })
      const written = this.answers.get(name)!.write(batch, said)
      // Its failure is told to whoever awaits it, which is after the next batch.
      written.catch(() => {})
      await writing
      writing = written
      this.computedHere.add(`${name}/${batch}`)
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
    if (current?.split === split && current.batch === batch) {
      this.current = { ...current, first }
      return
    }
    const started = performance.now()
    const ahead = this.ahead.get(split)
    this.ahead.delete(split)
    let block = await (ahead?.batch === batch ? ahead.block : this.answers.get(split)!.read(batch))
    if (block && !this.computedHere.has(`${split}/${batch}`)) {
      const took = (performance.now() - started) / 1000
      this.secondsSaved += Math.max(0, (this.secondsPerToken.get(split) ?? 0) * this.options.tokens - took)
    }
    block ??= await this.computeAnew(split, batch)
    if (block.states) this.head ??= await this.options.openHead!()
    this.current = { split, batch, block, first }
    if (batch + 1 < plan.count && !this.unkept.has(split)) this.readAhead(split, batch + 1)
  }

  /** A batch that could not be read; it is kept, if there is room. */
  private async computeAnew(split: string, batch: number): Promise<Block> {
    const answers = this.answers.get(split)!
    if (!this.unkept.has(split)) {
      this.options.warn(
        `outputs of teacher "${this.row.name}" for batch ${batch + 1} of ${split} are damaged; computed anew`,
      )
    }
    const started = performance.now()
    const said = await this.ask(split, batch)
    this.seconds += (performance.now() - started) / 1000
    this.tokens.computed += this.options.tokens
    if (!this.unkept.has(split)) {
      this.computedHere.add(`${split}/${batch}`)
      await answers.write(batch, said).catch((error: Error) => {
        if (!isDiskFull(error)) throw error
        this.leave(split, error.message)
      })
    }
    if (!this.unkept.has(split)) this.closeLive()
    return answers.kept(batch, said)
  }

  prepared(): Float32Array[] | undefined {
    if (!this.current) return undefined
    const { logits, states, hidden, statistics } = this.current.block
    return states ? [states, ...hidden.values()] : [logits!, ...hidden.values(), statistics]
  }

  signal(tokens: tf.Tensor2D, { positions }: SignalOptions = {}): TeacherSignal {
    const { current, live, head } = this
    if (!current) return live!.signal(tokens, { positions })
    const { row, tau } = this.options
    return signalOf(current.block, { row, tau, head, first: current.first, rows: tokens.size })
  }

  dispose(): void {
    this.closeLive()
    if (this.head) tf.dispose([this.head.head, this.head.scale ?? []])
    this.head = undefined
  }

  private readAhead(split: string, batch: number): void {
    const block = this.answers.get(split)!.read(batch)
    // Its failure is told to whoever awaits it, which is at the next batch.
    block.catch(() => {})
    this.ahead.set(split, { batch, block })
  }

  /** One pass over the batch. */
  private async ask(name: string, batch: number): Promise<Float32Array[]> {
    const { context, logits } = this.options
    const { split, asked } = this.answers.get(name)!
    const live = (this.live ??= await this.options.openLive())
    return askTeacher(live, { ...split.at(batch), context, ...asked }, logits)
  }

  server(): ServerHealth | undefined {
    return (this.health = this.live?.server?.() ?? this.health)
  }

  private closeLive(): void {
    this.server()
    this.live?.dispose()
    this.live = undefined
  }
}
