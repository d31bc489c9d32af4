import type { Value } from './graph'

/**
 * Memory whose values no tensor stands for any more, but which graphs still to be computed may read. It is given back
 * when the graph that was traced next has all its outputs: nothing computed later reads what was retired before.
 */
export abstract class Retirement {
  protected retired: Value[] = []

  /** Called when the last tensor of a value is disposed of. */
  retire(value: Value): void {
    if (this.holds(value)) this.retired.push(value)
  }

  /** Called before a graph is traced; the function that comes back, when all that graph's outputs are there. */
  mark(): () => void {
    const before = this.retired
    this.retired = []
    return () => this.free(before)
  }

  /** Whether there is memory of the value's to be given back. */
  protected abstract holds(value: Value): boolean
  protected abstract free(values: readonly Value[]): void
}
