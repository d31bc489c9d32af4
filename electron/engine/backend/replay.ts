import { Value, type Data, type Graph, type RowSum, type Runnable } from './graph'
import type { LazyBackend } from './lazyBackend'
import { Pace } from './pace'
import { threadsInUse } from './session'
import { tf } from './tf'

/** What a step computes, and what of it is other data in the next step. */
export interface Recurring {
  /** Says everything beside `arrays` that the computation depends on. */
  key: string
  /** The data that tensors are made of while it is recorded, themselves or parts of them. */
  arrays: readonly Data[]
  /** Called within a tidy. */
  compute: () => ReadonlyMap<string, tf.Tensor>
}

/** Where the data of a graph's input comes from. */
type Source =
  /** A part of one of the arrays, in elements. */
  | { from: 'array'; at: number; begin: number; size: number }
  /** A tensor that is there before and after: a weight, a mask. With other references it may be another one's now. */
  | { from: 'held'; value: Value; references: number }
  /** Numbers that the computation made of nothing else. */
  | { from: 'made'; data: Data }

/** How a graph is computed once more: everything of it but the data. */
interface Recipe {
  key: string
  graph: Runnable
  sources: readonly Source[]
  results: readonly Result[]
}

interface Result {
  name: string
  shape: readonly number[]
  /** Which of the graph's outputs it is, or those that the host makes it of. */
  output: number
  rows?: { target: number | undefined; places: Source }
}

interface Sample {
  size: number
  beginning: Data
}

/** So many numbers tell arrays apart; the arrays themselves may lie in memory that the next ones are read into. */
const SAMPLE = 4096

/** A computation makes small numbers only (factors, positions); who makes tables has read them somewhere. */
const LARGEST_MADE = 1 << 16

/**
 * Spares a computation that comes again with other data the recording of its thousand operations: 4 of the 6 ms of the
 * smallest step of the bench, 7 to 10 of larger ones. The graph is run once more with its inputs exchanged.
 *
 * That is done only when two recordings with different arrays have given the same graph and the same numbers made on
 * the way; else the computation depends on something that is not among its arrays, and is recorded each time.
 */
export class Replay {
  private recipe: Recipe | undefined
  /** The arrays of the last recording: what they began with, and their sizes. */
  private before: readonly Sample[] = []
  private trusted = false

  constructor(
    private readonly backend: LazyBackend,
    readonly pace = new Pace(threadsInUse()),
  ) {}

  /** Resolves to computed tensors, which are the caller's. */
  async run(work: Recurring): Promise<Map<string, tf.Tensor>> {
    if (this.trusted && this.recipe!.key === work.key && sameSizes(this.before, work.arrays)) {
      const results = await this.again(this.recipe!, work.arrays)
      if (results) return results
    }
    const { results, recipe } = await this.record(work)
    const others = sameSizes(this.before, work.arrays) && allDiffer(this.before, work.arrays)
    this.trusted = !!recipe && !!this.recipe && others && alike(recipe, this.recipe)
    this.recipe = recipe
    this.before = work.arrays.map((data) => ({ size: data.length, beginning: data.slice(0, SAMPLE) }))
    return results
  }

  private async record({ key, arrays, compute }: Recurring) {
    const results = new Map<string, tf.Tensor>()
    tf.tidy(() => {
      for (const [name, tensor] of compute()) results.set(name, tf.keep(tensor))
    })
    const values = new Map([...results].map(([name, tensor]) => [name, this.backend.value(tensor)]))
    let recipe: Recipe | undefined
    await this.backend.computeAll([...values.values()], (graph, pending) => {
      recipe =
        pending.length === new Set(values.values()).size ? recipeOf(key, graph, values, arrays) : undefined
    })
    return { results, recipe }
  }

  /** Undefined where something that was held is gone. */
  private async again(recipe: Recipe, arrays: readonly Data[]): Promise<Map<string, tf.Tensor> | undefined> {
    const { graph, sources } = recipe
    const inputs = graph.leaves.map((leaf, i) => inputOf(leaf, sources[i]!, arrays))
    const leaves = inputs.filter((leaf): leaf is Value => leaf?.ready === true)
    if (leaves.length < inputs.length) return undefined
    const outputs = graph.outputs.map(({ shape, type }) => new Value(shape, type))
    const values = recipe.results.map(({ shape, output, rows }) => {
      if (!rows) return outputs[output]!
      const value = new Value(shape, 'float32')
      const target = rows.target === undefined ? undefined : outputs[rows.target]!
      value.rowSum = { target, places: dataOf(rows.places, arrays), updates: outputs[output]! }
      return value
    })
    const [started, cpu] = [performance.now(), process.cpuUsage()]
    const { threading } = this.pace
    const done = await this.backend.computeAgain(exchanged(graph, leaves, outputs), values, threading)
    if (!done) return undefined
    const { user, system } = process.cpuUsage(cpu)
    this.pace.after(performance.now() - started, (user + system) / 1000)
    this.backend.statistics.replayed++
    const tensors = values.map((value) =>
      tf.engine().makeTensorFromTensorInfo(this.backend.tensor(value), this.backend),
    )
    // Kept: they may be asked for within a scope of tfjs.
    return new Map(recipe.results.map(({ name }, i) => [name, tf.keep(tensors[i]!)]))
  }
}

/** Undefined where the graph reads what neither the arrays have nor anybody holds. */
function recipeOf(
  key: string,
  graph: Graph,
  values: ReadonlyMap<string, Value>,
  arrays: readonly Data[],
): Recipe | undefined {
  const sources = graph.leaves.map((leaf) => (leaf.data ? sourceOf(leaf, leaf.data, arrays) : undefined))
  if (!sources.every((source) => source !== undefined)) return undefined
  const results: Result[] = []
  for (const [name, value] of values) {
    const { rowSum, shape } = value
    const rows = rowSum && rowsOf(rowSum, graph, arrays)
    const output = graph.outputs.indexOf(rowSum?.updates ?? value)
    if (output < 0 || (rowSum && !rows)) return undefined
    results.push({ name, shape, output, ...(rows && { rows }) })
  }
  // What is kept of the graph must not keep its data: only names, shapes and types.
  const bare = ({ shape, type }: Value) => new Value(shape, type)
  return { key, graph: exchanged(graph, graph.leaves.map(bare), graph.outputs.map(bare)), sources, results }
}

/** The graph with other values in the places of its inputs and outputs. */
function exchanged(
  { key, names, leaves: before, outputs: after }: Runnable,
  leaves: Value[],
  outputs: Value[],
) {
  const nameOf = (value: Value) => names.get(value)!
  const inputs = leaves.map((leaf, i): [Value, string] => [leaf, nameOf(before[i]!)])
  const results = outputs.map((output, i): [Value, string] => [output, nameOf(after[i]!)])
  return { key, leaves, outputs, names: new Map([...inputs, ...results]) }
}

function rowsOf({ target, places }: RowSum, graph: Graph, arrays: readonly Data[]): Result['rows'] {
  const at = target && graph.outputs.indexOf(target)
  const source = sourceOf(undefined, places, arrays)
  if (!source || at === -1) return undefined
  return { target: at, places: source }
}

function sourceOf(value: Value | undefined, data: Data, arrays: readonly Data[]): Source | undefined {
  for (const [at, array] of arrays.entries()) {
    const begin = (data.byteOffset - array.byteOffset) / array.BYTES_PER_ELEMENT
    const within = begin >= 0 && begin + data.length <= array.length
    if (data.buffer === array.buffer && data.constructor === array.constructor && within)
      return { from: 'array', at, begin, size: data.length }
  }
  if (value && value.live > 0) return { from: 'held', value, references: value.references }
  return data.length <= LARGEST_MADE ? { from: 'made', data } : undefined
}

function inputOf(leaf: Value, source: Source, arrays: readonly Data[]): Value | undefined {
  if (source.from === 'held') {
    const { value, references } = source
    return value.live > 0 && value.references === references ? value : undefined
  }
  const value = new Value(leaf.shape, leaf.type)
  value.data = dataOf(source, arrays)
  return value
}

function dataOf(source: Source, arrays: readonly Data[]): Data {
  if (source.from === 'array') {
    const { at, begin, size } = source
    return arrays[at]!.subarray(begin, begin + size)
  }
  return source.from === 'made' ? source.data : source.value.data!
}

function sameSizes(before: readonly Sample[], arrays: readonly Data[]): boolean {
  const same = ({ size, beginning }: Sample, i: number) =>
    size === arrays[i]!.length && beginning.constructor === arrays[i]!.constructor
  return before.length === arrays.length && before.every(same)
}

function allDiffer(before: readonly Sample[], arrays: readonly Data[]): boolean {
  return before.every(({ beginning }, i) => !sameData(beginning, arrays[i]!.subarray(0, SAMPLE)))
}

function alike(a: Recipe, b: Recipe): boolean {
  const places = ({ results }: Recipe) => results.flatMap(({ rows }) => rows?.places ?? [])
  return (
    a.key === b.key &&
    a.graph.key === b.graph.key &&
    JSON.stringify(a.results.map(shapeOf)) === JSON.stringify(b.results.map(shapeOf)) &&
    a.sources.every((source, i) => sameSource(source, b.sources[i]!)) &&
    places(a).every((source, i) => sameSource(source, places(b)[i]!))
  )
}

const shapeOf = ({ name, shape, output, rows }: Result) => [name, shape, output, rows?.target]

function sameSource(a: Source, b: Source): boolean {
  if (a.from === 'array')
    return b.from === 'array' && a.at === b.at && a.begin === b.begin && a.size === b.size
  if (a.from === 'held') return b.from === 'held' && a.value === b.value
  return b.from === 'made' && sameData(a.data, b.data)
}

function sameData(a: Data, b: Data): boolean {
  const bytes = (x: Data) => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
  return a.constructor === b.constructor && bytes(a).equals(bytes(b))
}
