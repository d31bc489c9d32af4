import { rotaries, type ModelConfig } from '#contract'
import { FORBIDDEN } from '../forward'
import { frequencies } from '../rotary'
import type { OnnxBuilder } from './builder'

/** What a graph makes in place of the tables of a forward pass, of sizes and positions that are known when it runs. */
abstract class Tables {
  constructor(
    protected readonly config: ModelConfig,
    protected readonly graph: OnnxBuilder,
  ) {}

  /** Of the sequences that are read, int64 [1]; some scalings depend on it. */
  protected abstract length(): string
  /** The same where frequencies change beyond a length; what cannot be told apart from then on is refused. */
  protected lengthAcross(_turning: number): string {
    return this.length()
  }

  /** int64, with a last axis of one number. */
  protected abstract readonly positions: string
  /** Of the tables, which axis the dimensions are. */
  protected abstract readonly axis: number

  protected forbidden(rows: string, columns: string, window: number): string {
    const { graph } = this
    const later = graph.node('Less', [rows, columns])
    if (!Number.isFinite(window)) return later
    const last = graph.node('Sub', [rows, graph.integer(window)])
    return graph.node('Or', [later, graph.node('LessOrEqual', [columns, last])])
  }

  protected masked(forbidden: string): string {
    const { graph } = this
    return graph.node('Where', [forbidden, graph.float(FORBIDDEN), graph.float(0)])
  }

  /** 0, 1, ... */
  protected counted(size: string): string {
    const { graph } = this
    const end = graph.node('Squeeze', [size, graph.integers([0])])
    return graph.node('Range', [graph.integer(0), end, graph.integer(1)])
  }

  /**
   * Cosines and sines of a rotary position, of each position a row of its dimensions.
   *
   * @param scale what they are multiplied by
   */
  rotation(which: number, scale: number): { cosine: string; sine: string } {
    const { graph } = this
    const { factor } = frequencies(rotaries(this.config)[which]!, 1)
    const exact = graph.cast(this.positions, 'float64')
    const angles = graph.node('Mul', [exact, this.frequencies(which)])
    // In float32 the angle of a late position is wrong by more than its cosine may be: the turns are taken off before.
    const turn = graph.node('Mod', [angles, graph.double(2 * Math.PI)], { fmod: 1 })
    const within = graph.cast(turn, 'float32')
    const both = (name: string) => {
      const one = graph.node(name, [within])
      const whole = graph.node('Concat', [one, one], { axis: this.axis })
      return factor * scale === 1 ? whole : graph.node('Mul', [whole, graph.float(factor * scale)])
    }
    return { cosine: both('Cos'), sine: both('Sin') }
  }

  private frequencies(which: number): string {
    const { graph } = this
    const rotary = rotaries(this.config)[which]!
    const { base, dimensions, scaling } = rotary
    const given = (length: number) => graph.doubles(frequencies(rotary, length).values)
    if (scaling?.kind === 'longrope') {
      const longer = graph.node('Less', [
        graph.integers([scaling.original]),
        this.lengthAcross(scaling.original),
      ])
      return graph.node('Where', [longer, given(scaling.original + 1), given(1)])
    }
    if (scaling?.kind !== 'dynamic') return given(1)
    // As `frequencies` has it, of a length that is known when the model runs.
    const { factor, original } = scaling
    const length = graph.cast(graph.node('Max', [this.length(), graph.integers([original])]), 'float64')
    const share = graph.node('Mul', [length, graph.double(factor / original)])
    const growth = graph.node('Sub', [share, graph.double(factor - 1)])
    const grown = graph.node('Pow', [growth, graph.double(dimensions / (dimensions - 2))])
    const exponents = Float64Array.from({ length: dimensions / 2 }, (_, i) => (-2 * i) / dimensions)
    return graph.node('Pow', [graph.node('Mul', [grown, graph.double(base)]), graph.doubles(exponents)])
  }
}

/** Of whole sequences of one length. */
export class SequenceTables extends Tables {
  protected readonly positions: string
  protected readonly axis = 1
  /** 0, 1, ... as a row. */
  private readonly columns: string

  /** @param time the sequences' length, int64 [1] */
  constructor(
    config: ModelConfig,
    graph: OnnxBuilder,
    private readonly time: string,
  ) {
    super(config, graph)
    const positions = this.counted(time)
    this.positions = graph.node('Unsqueeze', [positions, graph.integers([1])])
    this.columns = graph.node('Unsqueeze', [positions, graph.integers([0])])
  }

  protected length(): string {
    return this.time
  }

  /** Causal, within a window: [time, time]. */
  mask(window: number): string {
    return this.masked(this.forbidden(this.positions, this.columns, window))
  }
}

/** Of new tokens behind earlier ones, in sequences that may be padded on the left. */
export class CachedTables extends Tables {
  protected readonly positions: string
  protected readonly axis = 3
  /** The place of each new token among all, as a column, and of all as a row. */
  private readonly rows: string
  private readonly columns: string
  /** Whether a token is padding, [batch, 1, 1, total]. */
  private readonly padding: string

  /**
   * Takes the inputs `position_ids`, int64 [batch, time], and `attention_mask`, int64 [batch, total].
   *
   * @param time new tokens, int64 [1]
   * @param total all tokens, int64 [1]
   */
  constructor(
    config: ModelConfig,
    graph: OnnxBuilder,
    private readonly time: string,
    private readonly total: string,
  ) {
    super(config, graph)
    this.positions = graph.node('Unsqueeze', ['position_ids', graph.integers([1, 3])])
    const places = graph.node('Add', [this.counted(time), graph.node('Sub', [total, time])])
    this.rows = graph.node('Unsqueeze', [places, graph.integers([1])])
    this.columns = graph.node('Unsqueeze', [this.counted(total), graph.integers([0])])
    const seen = graph.node('Unsqueeze', ['attention_mask', graph.integers([1, 2])])
    this.padding = graph.node('Equal', [seen, graph.integer(0)])
  }

  /** By the positions, as transformers has it: padding on the left makes no text longer. */
  protected length(): string {
    const { graph } = this
    const last = graph.node('ReduceMax', ['position_ids'], { keepdims: 0 })
    return graph.node('Reshape', [graph.node('Add', [last, graph.integer(1)]), graph.integers([1])])
  }

  /**
   * Where a text grows beyond the turning point, the keys and states that are kept are those of a short text:
   * transformers forgets them and reads it anew. A graph cannot, so that it fails there: one number is given another
   * shape.
   */
  protected override lengthAcross(turning: number): string {
    const { graph, time, total } = this
    const [length, point] = [this.length(), graph.integers([turning])]
    const longer = graph.node('Less', [point, length])
    const before = graph.node('LessOrEqual', [graph.node('Sub', [length, time]), point])
    const goesOn = graph.node('Less', [time, total])
    const crosses = graph.node('And', [graph.node('And', [longer, before]), goesOn])
    const shape = graph.node('Add', [graph.integers([1]), graph.cast(crosses, 'int64')])
    return graph.node('Reshape', [length, shape])
  }

  /** Causal, within a window, and not at padding: [batch, 1, time, total]. */
  mask(window: number): string {
    const forbidden = this.forbidden(this.rows, this.columns, window)
    return this.masked(this.graph.node('Or', [forbidden, this.padding]))
  }
}
