import type { Value } from '../graph'

/** A kernel's inputs by tfjs's names; `list` has them in order, for kernels with any number of them. */
export type Inputs = Record<string, Value> & { list: Value[] }

/** Records what a kernel of tfjs computes. Attributes are tfjs's own, by kernel. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each kernel has attributes of its own
export type Kernel = (x: Inputs, attributes: any) => Value | Value[]

export type KernelTable = Record<string, Kernel>
