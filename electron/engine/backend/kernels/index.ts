import { failed } from '#contract'
import { empty } from '../builder'
import type { Dtype, Value } from '../graph'
import type { LazyBackend } from '../lazyBackend'
import { tf } from '../tf'
import { convolutions } from './convolution'
import { elementwise } from './elementwise'
import { fused, fusedOnWebgpu } from './fused'
import { images } from './image'
import { indexing } from './indexing'
import { linear, linearOnWebgpu } from './linear'
import { pools } from './pooling'
import { quantised } from './quantised'
import { reductions, reductionsOnWebgpu } from './reductions'
import { shaping } from './shaping'
import type { Inputs, KernelTable } from './table'

/** Every kernel of the onnx backend, by tfjs's name. */
export const kernels: KernelTable = {
  ...elementwise,
  ...reductions,
  ...linear,
  ...shaping,
  ...indexing,
  ...convolutions,
  ...pools,
  ...images,
  ...fused,
}

/** In place of those whose operators the WebGPU provider has not, or computes wrongly. */
const onWebgpu: KernelTable = { ...linearOnWebgpu, ...reductionsOnWebgpu, ...fusedOnWebgpu }

/** Of the standard's operators alone, none of ONNX Runtime's own: what is recorded for other tools. */
const standard: KernelTable = Object.fromEntries(
  Object.entries({ ...kernels, ...linearOnWebgpu }).filter(([name]) => !Object.hasOwn(fused, name)),
)

const tables: Readonly<Record<string, KernelTable>> = {
  onnx: { ...kernels, ...quantised },
  webgpu: { ...kernels, ...onWebgpu },
  recorder: standard,
}

/** Tells tfjs of the kernels, for the backend of that name. */
export function registerKernels(backendName: string): void {
  const table = tables[backendName] ?? kernels
  for (const [kernelName, kernel] of Object.entries(table)) {
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
  refuseOthers(backendName)
}

/** Kernels that the cpu backend has and this one has not say so, and say which operation wanted them. */
function refuseOthers(backendName: string): void {
  for (const { kernelName } of tf.getKernelsForBackend('cpu')) {
    if (tf.getKernel(kernelName, backendName)) continue
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: () => {
        throw failed(
          `the onnx backend has no kernel ${kernelName}${wantedBy()}; the backends cpu and tensorflow have`,
        )
      },
    })
  }
}

/** The operations of tfjs that are being done, the outermost first. */
function wantedBy(): string {
  const { scopeStack } = tf.engine().state
  const operations = scopeStack.map(({ name }) => name).filter((name) => name?.endsWith(tf.OP_SCOPE_SUFFIX))
  if (!operations.length) return ''
  return `, which tf.${operations.map((name) => name.slice(0, -tf.OP_SCOPE_SUFFIX.length)).join(' > ')} wants`
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
  return value.size === 0 && !value.ready ? empty(value.shape, value.type as Dtype) : value
}
