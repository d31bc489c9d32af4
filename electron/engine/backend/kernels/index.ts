import { empty } from '../builder'
import type { Dtype, Value } from '../graph'
import type { LazyBackend } from '../lazyBackend'
import { tf } from '../tf'
import { elementwise } from './elementwise'
import { linear } from './linear'
import { reductions } from './reductions'
import { shaping } from './shaping'
import type { Inputs, KernelTable } from './table'

/** Every kernel of the onnx backend, by tfjs's name. */
export const kernels: KernelTable = { ...elementwise, ...reductions, ...linear, ...shaping }

/** Tells tfjs of the kernels, for the backend of that name. */
export function registerKernels(backendName: string): void {
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) => {
        const lazy = backend as LazyBackend
        const result = kernel(toValues(lazy, inputs), attrs ?? {})
        return Array.isArray(result) ? result.map((v) => lazy.tensor(settle(v))) : lazy.tensor(settle(result))
      },
    })
  }
  tf.registerKernel({
    kernelName: 'Identity',
    backendName,
    kernelFunc: ({ inputs, backend }) => (backend as LazyBackend).share(inputs.x!),
  })
}

function toValues(backend: LazyBackend, inputs: Parameters<tf.KernelFunc>[0]['inputs']): Inputs {
  const values: Record<string, Value> = {}
  const list: Value[] = []
  for (const [name, tensor] of Object.entries(inputs)) {
    if (!tensor) continue
    values[name] = backend.value(tensor)
    list.push(values[name])
  }
  return Object.assign(values, { list }) as Inputs
}

/** A value with no elements needs no computing, and ONNX Runtime refuses many operators on such. */
function settle(value: Value): Value {
  return value.size === 0 && !value.data ? empty(value.shape, value.type as Dtype) : value
}
