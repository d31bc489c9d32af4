import { mostWritten, writes, writtenAt, type RunConfig, type Writing, type WrittenFigures } from '#contract'
import type { Batch } from '../../data/batchPlan'
import type { TextTokenizer } from '../../data/textTokenizer'
import type { TokenFile } from '../../data/tokenFile'
import { nativeModel } from '../../model/languageModel'
import { surprise } from '../../model/selfCheck'
import { writeSequences } from '../../model/writeSequences'
import { createRandom } from '../../random'
import type { TokenBatch } from '../tokenBatch'
import type { Student } from '../student'
import { distinctOf, lengthOf, writtenFigures, type Written } from './figures'
import { drawPrompts, promptsOf, type PromptSource } from './prompts'
import { saidOf, type Speakers } from './said'
import { withWritten } from './withWritten'

/** What a step learns on: of its sequences the last ones are those that the student wrote. */
export interface SourcedBatch {
  batch: TokenBatch
  written: readonly Written[]
  /** Of what was written for this step, now and then, what a person is to read. */
  told: readonly Written[]
  /**
   * What the step's record says of it; nothing of a step without any.
   *
   * @param loss minus the log-probability that the learning student gives a written token, mean, nats
   */
  figures(loss: number | undefined): { written?: WrittenFigures }
}

/** How often in a run writings are kept to be read, and how many. */
const TOLD = 50
const TOLD_EACH = 4

/**
 * What a student writes of what it learns on. A step's writing is a function of the student's weights before it, the seed
 * and the step, and what is kept to be learnt on again is part of the checkpoint: a resumed run reads the same text.
 */
export class StudentText {
  private readonly ends: readonly number[]

  private constructor(
    private readonly config: RunConfig,
    private readonly sources: readonly PromptSource[],
    private readonly tokenizer: TextTokenizer,
    /** What may be learnt on, the oldest first. */
    private kept: Written[],
  ) {
    this.ends = [...new Set([...tokenizer.ends, ...sources.flatMap((source) => source.ends)])]
  }

  /**
   * Undefined for a run whose text is its corpora's.
   *
   * @param tokens of each of its corpora, to train on
   * @param kept of the checkpoint that it goes on from
   * @throws bad-input where a corpus has no prompts
   */
  static open(
    config: RunConfig,
    tokenizer: TextTokenizer,
    tokens: readonly (TokenFile | undefined)[],
    kept: readonly Written[] = [],
  ): StudentText | undefined {
    if (!writes(config.experiment.train)) return undefined
    const sources = promptsOf(config, tokens)
    return new StudentText(config, sources, tokenizer, [...kept])
  }

  /** What is to be in a checkpoint. */
  get state(): readonly Written[] {
    const { every, buffer } = this.config.experiment.train.source
    return every > 1 || buffer > 0 ? this.kept : []
  }

  /** Prompts that there are. */
  get prompts(): number {
    return this.sources.reduce((sum, { places }) => sum + places.length / 2, 0)
  }

  /** The batch of a step, from 1, whose last sequences are the student's own. */
  async batch(step: number, corpus: Batch, student: Pick<Student, 'weights'>): Promise<SourcedBatch> {
    const { train, seed } = this.config.experiment
    const { every, buffer } = train.source
    const count = writtenAt(train, step)
    let fresh: readonly Written[] = []
    if ((step - 1) % every === 0) {
      // Without a buffer what is written now is all that is learnt on until the next writing.
      fresh = await this.write(step, every > 1 || buffer > 0 ? mostWritten(train) : count, student)
      this.kept = buffer > 0 ? [...this.kept, ...fresh].slice(-buffer) : [...fresh]
    }
    const random = createRandom(seed, `written/${step}`)
    const places = this.kept.map((_, i) => i)
    const written = Array.from(
      { length: count },
      () => this.kept[places.splice(random.integer(places.length), 1)[0]!]!,
    )
    return {
      batch: withWritten(corpus, written, train),
      written,
      told: this.tells(step) ? fresh.slice(0, TOLD_EACH) : [],
      figures: (loss) =>
        written.length && loss !== undefined ? { written: writtenFigures(written, step, loss) } : {},
    }
  }

  private async write(
    step: number,
    count: number,
    { weights }: Pick<Student, 'weights'>,
  ): Promise<Written[]> {
    if (!count) return []
    const { train, seed } = this.config.experiment
    const { tokens, temperature, topP } = train.source
    const prompts = drawPrompts(this.sources, train.dataSeed ?? seed, step, count)
    const sums = new Float64Array(count)
    const written = await writeSequences(
      nativeModel(this.config.student, weights),
      prompts.map(({ ids }) => ids),
      {
        tokens,
        temperature,
        topP,
        ends: this.ends,
        random: (row) => createRandom(seed, `write/${step}/${row}`),
        onToken: (row, id, logits) => (sums[row]! -= surprise(logits, id)),
      },
    )
    return written.map((ids, i) => {
      const { ids: prompt, corpus, start } = prompts[i]!
      const ended = this.ends.includes(ids[ids.length - 1]!)
      return { prompt, ids, ended, logProbability: sums[i]! / ids.length, step, corpus, start }
    })
  }

  /** Whether a step that writes is the first one of its part of the run to do so. */
  private tells(step: number): boolean {
    const { steps, source } = this.config.experiment.train
    const part = (at: number) => Math.floor((at * TOLD) / steps)
    return step === 1 || part(step) > part(step - source.every)
  }

  /** Writings as a person reads them, with what is said of them by the student and the teachers of now. */
  async telling(written: readonly Written[], by: Omit<Speakers, 'config' | 'tokenizer'>): Promise<Writing[]> {
    const told: Writing[] = []
    for (const one of written) told.push(await this.tellingOf(one, by))
    return told
  }

  private async tellingOf(one: Written, by: Omit<Speakers, 'config' | 'tokenizer'>): Promise<Writing> {
    const { config, tokenizer } = this
    const { prompt, ids, step, ended, corpus } = one
    const text = (all: readonly number[]) => tokenizer.decode(all.filter((id) => id !== tokenizer.bos))
    const before = text(prompt)
    const written = ids.slice(0, lengthOf({ ids, ended }))
    const distinct = distinctOf(written)
    return {
      step,
      corpus: config.corpora[corpus]!.row.name,
      prompt: before,
      text: text([...prompt, ...written]).slice(before.length),
      tokens: ids.length,
      ended,
      ...(distinct !== undefined && { distinct }),
      said: await saidOf({ ...by, config, tokenizer }, one),
    }
  }
}
