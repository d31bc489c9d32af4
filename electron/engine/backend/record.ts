import { traceGraph, type Graph, type Value } from './graph'
import { registerKernels } from './kernels'
import { LazyBackend } from './lazyBackend'
import { tf } from './tf'

const NAME = 'recorder'

/**
 * Records what some work computes and computes nothing: a graph of the standard's operators alone, for other tools. The
 * work is done at once, on tensors that it makes itself; tensors of other backends it must not touch.
 *
 * @returns the graph whose outputs are the work's tensors, in their order
 */
export function record(work: () => tf.Tensor[]): Graph {
  const before = tf.getBackend()
  // It needs no runtime: nothing that is recorded is ever read.
  const backend = new LazyBackend(undefined as never, {})
  registerKernels(NAME)
  tf.registerBackend(NAME, () => backend, 0)
  try {
    // With a backend that is made at once, this is done when it returns.
    void tf.setBackend(NAME)
    let values: Value[] = []
    tf.tidy(() => {
      values = work().map((tensor) => backend.value(tensor))
    })
    return traceGraph(values)
  } finally {
    if (before) void tf.setBackend(before)
    tf.removeBackend(NAME)
    for (const { kernelName } of tf.getKernelsForBackend(NAME)) tf.unregisterKernel(kernelName, NAME)
  }
}
