import { availableParallelism } from 'node:os'
import { createRequire } from 'node:module'
import { badInput, failed, type Backend, type SelfTestResult } from '#contract'
import { registerGradients } from './gradients'
import { Value, type Dtype } from './graph'
import { registerKernels } from './kernels'
import { LazyBackend } from './lazyBackend'
import { quantisedMatMul, quantisedRows } from './quantised'
import { Replay } from './replay'
import { Residency } from './residency'
import { loadRuntime, sessionOptions, useProvider, useThreads, type Tensor } from './session'
import { examineTensorflow, registerTensorflow } from './tensorflow'
import { tf } from './tf'
import { chooseProvider, listAdapters, probeHalf, probeWebgpu } from './webgpu'

export type BackendKind = Backend

/** What computes, for `environment.json` and `retort doctor`. */
export interface BackendInfo {
  kind: Exclude<BackendKind, 'auto'>
  version: string
  threads: number
}

export interface BackendOptions {
  /** Threads inside an operator; 0: all cores. */
  threads: number
}

// Not named `require`: the build declares one of its own in bundles that look like CommonJS.
const nodeRequire = createRequire(import.meta.url)

/**
 * Makes a backend the one that tfjs computes with. `auto` is WebGPU where there is a GPU that answers, else onnx on
 * the CPU.
 *
 * @throws failed, in one line, when what it needs is not there
 */
export async function startBackend(kind: BackendKind, options: BackendOptions): Promise<BackendInfo> {
  const threads = useThreads(options.threads)
  registerGradients()
  if (kind === 'auto') {
    const chosen = await (automatic ??= chooseProvider())
    if (chosen.note) process.stderr.write(`computing on the CPU: ${chosen.note}\n`)
    return startBackend(chosen.kind, options)
  }
  if (kind === 'cpu') {
    await use('cpu')
    return { kind, version: tf.version['tfjs-backend-cpu'] ?? tf.version.tfjs, threads: 1 }
  }
  if (kind === 'tensorflow') {
    const version = registerTensorflow()
    await use('tensorflow')
    return { kind, version, threads }
  }
  // A second WebGPU would leave the first one's buffers to a runtime that is gone: that ends with a SIGSEGV.
  if (kind === 'webgpu' && tf.findBackend(kind)) await use(kind)
  else await startOnnx(kind)
  return { kind, version: versionOf('onnxruntime-node'), threads }
}

/** Gives back the memory of graphs that are not computed for now: between the phases of a run of a large model. */
export async function restBackend(): Promise<void> {
  const backend = tf.backend()
  if (backend instanceof LazyBackend) await backend.rest()
}

/** Found out once a process. */
let automatic: ReturnType<typeof chooseProvider> | undefined

async function startOnnx(kind: 'onnx' | 'webgpu'): Promise<void> {
  if (kind === 'webgpu') {
    await probeWebgpu().catch((error: Error) => {
      throw failed(`WebGPU cannot be used: ${error.message}`, error)
    })
  }
  const ort = await loadRuntime()
  const options = sessionOptions(kind === 'onnx' ? 'cpu' : 'webgpu')
  const residency = kind === 'webgpu' ? new Residency(ort, options) : undefined
  const backend = new LazyBackend(ort, options, undefined, residency)
  if (tf.findBackend(kind)) tf.removeBackend(kind)
  else registerKernels(kind)
  tf.registerBackend(kind, () => backend, 1)
  await use(kind)
}

/** The host's array of a tensor that the onnx backend has computed; see LazyBackend.held. */
export function heldData(tensor: tf.Tensor) {
  return (tf.backend() as LazyBackend).held(tensor)
}

/** For a computation that comes again and again on the onnx backend. */
export function newReplay(): Replay {
  return new Replay(tf.backend() as LazyBackend)
}

/**
 * A tensor of tfjs for an output that another session has left in the device's memory, of the same shape. It is the
 * backend's from now on: its memory is given back when the tensor has been disposed of and no graph reads it any more.
 */
export function residentTensor(output: Tensor): tf.Tensor {
  const value = new Value(output.dims, output.type as Dtype)
  value.resident = output
  return tf.engine().makeTensorFromTensorInfo((tf.backend() as LazyBackend).tensor(value))
}

/**
 * A table of 8-bit numbers, for the kernels of `kernels/quantised` alone: tfjs takes it for integers, and has nothing
 * that computes with it.
 */
export function int8Tensor(data: Int8Array, shape: readonly number[]): tf.Tensor {
  const value = new Value(shape, 'int8')
  value.data = new Uint8Array(data.buffer, data.byteOffset, data.length)
  return tf.engine().makeTensorFromTensorInfo((tf.backend() as LazyBackend).tensor(value))
}

/**
 * Whether a backend multiplies tables of 8 bits, and rightly: processors without instructions for it add up pairs of
 * products in 16 bits, where the largest do not fit, without a word.
 * @throws bad-input, in one line, where it does not
 */
export async function checkInt8(kind: BackendInfo['kind']): Promise<void> {
  const refused = (why: string) => badInput(why, { field: 'teachers', expected: 'precision: f32' })
  if (kind !== 'onnx') throw refused(`the backend ${kind} has no products in 8 bits`)
  const [depth, largest] = [64, 127]
  const weight = int8Tensor(new Int8Array(depth).fill(largest), [depth, 1])
  const product = tf.tidy(() => {
    const [rows, sizes] = quantisedRows(tf.ones([1, depth]))
    return quantisedMatMul({ rows, sizes, weight, scale: tf.ones([1]) })
  })
  const [sum] = await product.data()
  tf.dispose([weight, product])
  if (Math.abs(sum! - depth * largest) > 1e-2)
    throw refused(`this processor makes ${sum} of ${depth * largest} in 8 bits`)
}

/**
 * Whether a backend can keep in half precision what waits.
 * @throws bad-input, in one line, where it cannot
 */
export async function checkHalf(kind: BackendInfo['kind']): Promise<void> {
  if (kind === 'onnx') return
  const why =
    kind === 'webgpu'
      ? await probeHalf().then(
          () => undefined,
          (error: Error) => `WebGPU: ${error.message}`,
        )
      : `the backend ${kind} has no half precision`
  if (why) throw badInput(why, { field: 'train.precision', expected: 'f32' })
}

/** Does some work that computes; what waits in its graphs is kept in half precision, where the backend can. */
export async function inHalf<T>(work: () => Promise<T>): Promise<T> {
  const backend = tf.backend()
  if (!(backend instanceof LazyBackend)) return work()
  backend.keepInHalf(true)
  return work().finally(() => backend.keepInHalf(false))
}

async function use(name: string): Promise<void> {
  useProvider(name === 'webgpu' ? 'webgpu' : 'cpu')
  if (!(await tf.setBackend(name))) throw failed(`the backend ${name} could not be started`)
  await tf.ready()
}

function versionOf(name: string): string {
  try {
    return (nodeRequire(`${name}/package.json`) as { version: string }).version
  } catch {
    return 'unknown'
  }
}

/**
 * Multiplies two matrices on the onnx backend and checks the product.
 * @throws failed when the product is wrong
 */
export async function selfTest(): Promise<void> {
  await startBackend('onnx', { threads: 1 })
  const product = tf.matMul(
    tf.tensor2d([
      [1, 2],
      [3, 4],
    ]),
    tf.tensor2d([
      [5, 6],
      [7, 8],
    ]),
  )
  const values = Array.from(await product.data())
  product.dispose()
  if (values.join() !== '19,22,43,50') throw failed(`the onnx backend computes wrongly: ${values.join()}`)
}

/** Which backends this machine has, a line each. Never throws. */
export async function detectBackends(): Promise<SelfTestResult['backends']> {
  const found: SelfTestResult['backends'] = []
  try {
    await selfTest()
    const cores = availableParallelism()
    found.push({
      name: 'onnx',
      available: true,
      version: versionOf('onnxruntime-node'),
      note: `CPU, ${cores} cores`,
    })
  } catch (error) {
    found.push({ name: 'onnx', available: false, note: firstLine(error) })
  }
  found.push(await examineWebgpu())
  found.push({ name: 'tensorflow', ...(await examineTensorflow()) })
  found.push({ name: 'cpu', available: true, version: tf.version.tfjs, note: 'slow reference of the tests' })
  return found
}

async function examineWebgpu(): Promise<SelfTestResult['backends'][number]> {
  const adapters = listAdapters()
  const names = adapters.map(({ name, software }) => (software ? `${name} (software)` : name)).join(', ')
  try {
    await probeWebgpu()
    const version = versionOf('onnxruntime-node')
    const half = await probeHalf().then(
      () => 'f16',
      () => 'no f16',
    )
    const note = `${names || 'an adapter that the system does not name'}; ${half}`
    return { name: 'webgpu', available: true, version, note }
  } catch (error) {
    const note = `${names ? `${names}: ` : ''}${firstLine(error)}`
    return { name: 'webgpu', available: false, note }
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!
}
