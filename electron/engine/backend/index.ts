import { availableParallelism } from 'node:os'
import { createRequire } from 'node:module'
import nodeUtil from 'node:util'
import { failed, type Experiment, type SelfTestResult } from '#contract'
import { registerGradients } from './gradients'
import { registerKernels } from './kernels'
import { LazyBackend } from './lazyBackend'
import { tf } from './tf'

export type BackendKind = Experiment['backend']

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
 * Makes a backend the one that tfjs computes with. `auto` is onnx on the CPU.
 * @throws failed, in one line, when what it needs is not there
 */
export async function startBackend(kind: BackendKind, options: BackendOptions): Promise<BackendInfo> {
  const threads = options.threads || availableParallelism()
  registerGradients()
  if (kind === 'cpu') {
    await use('cpu')
    return { kind, version: tf.version['tfjs-backend-cpu'] ?? tf.version.tfjs, threads: 1 }
  }
  if (kind === 'tensorflow') return startTensorflow(threads)
  const name = kind === 'webgpu' ? 'onnx-webgpu' : 'onnx'
  await startOnnx(name, threads)
  return { kind: kind === 'webgpu' ? kind : 'onnx', version: versionOf('onnxruntime-node'), threads }
}

async function startOnnx(name: 'onnx' | 'onnx-webgpu', threads: number): Promise<void> {
  const ort = await import('onnxruntime-node')
  const provider = name === 'onnx' ? 'cpu' : 'webgpu'
  const backend = new LazyBackend(ort.default ?? ort, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // A planned block for all activations is not faster and takes a third more memory than the arena's own reuse.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Spinning threads gain 3 % alone and lose a factor of two when a neighbour takes a core.
    extra: { session: { intra_op: { allow_spinning: '0' }, set_denormal_as_zero: '1' } },
  })
  if (tf.findBackend(name)) tf.removeBackend(name)
  else registerKernels(name)
  tf.registerBackend(name, () => backend, 1)
  await use(name)
}

async function startTensorflow(threads: number): Promise<BackendInfo> {
  // tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 no longer has.
  const legacy = nodeUtil as unknown as { isNullOrUndefined?: (value: unknown) => boolean }
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined
  try {
    nodeRequire('@tensorflow/tfjs-node-gpu')
  } catch (error) {
    const [reason] = String(error instanceof Error ? error.message : error).split('\n')
    throw failed(
      `the tensorflow backend is not installed (${reason}); "npm run setup:cuda" fetches its library`,
      error,
    )
  }
  await use('tensorflow')
  return { kind: 'tensorflow', version: versionOf('@tensorflow/tfjs-node-gpu'), threads }
}

async function use(name: string): Promise<void> {
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
  found.push({ name: 'webgpu', available: false, note: 'not looked for; ask for it with backend: webgpu' })
  found.push(tensorflowNote())
  found.push({ name: 'cpu', available: true, version: tf.version.tfjs, note: 'slow reference of the tests' })
  return found
}

function tensorflowNote(): SelfTestResult['backends'][number] {
  try {
    nodeRequire.resolve('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node')
    return {
      name: 'tensorflow',
      available: true,
      version: versionOf('@tensorflow/tfjs-node-gpu'),
      note: 'CUDA',
    }
  } catch {
    return {
      name: 'tensorflow',
      available: false,
      note: 'its library is not there; "npm run setup:cuda" fetches it',
    }
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!
}
