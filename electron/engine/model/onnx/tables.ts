import { rotaries, type ModelConfig } from '#contract'
import { FORBIDDEN } from '../forward'
import { frequencies } from '../rotary'
import type { OnnxBuilder } from './builder'

/** What a graph makes of the sequence's length, in place of the tables of a forward pass. */
export class SequenceTables {
  /** 0, 1, ... as a column and as a row. */
  private readonly rows: string
  private readonly columns: string

  /** @param time the sequence's length, int64 [1] */
  constructor(
    private readonly config: ModelConfig,
    private readonly graph: OnnxBuilder,
    private readonly time: string,
  ) {
    const end = graph.node('Squeeze', [time, graph.integers([0])])
    const positions = graph.node('Range', [graph.integer(0), end, graph.integer(1)])
    this.rows = graph.node('Unsqueeze', [positions, graph.integers([1])])
    this.columns = graph.node('Unsqueeze', [positions, graph.integers([0])])
  }

  /** Causal, within a window: [time, time]. */
  mask(window: number): string {
    const { graph, rows, columns } = this
    let forbidden = graph.node('Less', [rows, columns])
    if (Number.isFinite(window)) {
      const last = graph.node('Sub', [rows, graph.integer(window)])
      forbidden = graph.node('Or', [forbidden, graph.node('LessOrEqual', [columns, last])])
    }
    return graph.node('Where', [forbidden, graph.float(FORBIDDEN), graph.float(0)])
  }

  /**
   * Cosines and sines of a rotary position, [time, dimensions].
   *
   * @param scale what they are multiplied by
   */
  rotation(which: number, scale: number): { cosine: string; sine: string } {
    const { graph } = this
    const { factor } = frequencies(rotaries(this.config)[which]!, 1)
    const exact = graph.cast(this.rows, 'float64')
    const angles = graph.node('Mul', [exact, this.frequencies(which)])
    // In float32 the angle of a late position is wrong by more than its cosine may be: the turns are taken off before.
    const turn = graph.node('Mod', [angles, graph.double(2 * Math.PI)], { fmod: 1 })
    const within = graph.cast(turn, 'float32')
    const both = (name: string) => {
      const one = graph.node(name, [within])
      const whole = graph.node('Concat', [one, one], { axis: 1 })
      return factor * scale === 1 ? whole : graph.node('Mul', [whole, graph.float(factor * scale)])
    }
    return { cosine: both('Cos'), sine: both('Sin') }
  }

  private frequencies(which: number): string {
    const { graph, time } = this
    const rotary = rotaries(this.config)[which]!
    const { base, dimensions, scaling } = rotary
    const given = (length: number) => graph.doubles(frequencies(rotary, length).values)
    if (scaling?.kind === 'longrope') {
      const longer = graph.node('Less', [graph.integers([scaling.original]), time])
      return graph.node('Where', [longer, given(scaling.original + 1), given(1)])
    }
    if (scaling?.kind !== 'dynamic') return given(1)
    // As `frequencies` has it, of a length that is known when the model runs.
    const { factor, original } = scaling
    const length = graph.cast(graph.node('Max', [time, graph.integers([original])]), 'float64')
    const share = graph.node('Mul', [length, graph.double(factor / original)])
    const growth = graph.node('Sub', [share, graph.double(factor - 1)])
    const grown = graph.node('Pow', [growth, graph.double(dimensions / (dimensions - 2))])
    const exponents = Float64Array.from({ length: dimensions / 2 }, (_, i) => (-2 * i) / dimensions)
    return graph.node('Pow', [graph.node('Mul', [grown, graph.double(base)]), graph.doubles(exponents)])
  }
}
