import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import nodeUtil from 'node:util'
import type { KernelBackend } from '@tensorflow/tfjs'
import { failed } from '#contract'
import { runApart } from './apart'
import { tf } from './tf'

const nodeRequire = createRequire(import.meta.url)

/** Of npm; the first that is whole is taken. They differ in the library that their installers fetch. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

/** Names an addon built elsewhere (resources/build-tfjs-node.sh). */
const ADDON_VARIABLE = 'RETORT_TFJS_ADDON'

interface Installation {
  name: (typeof PACKAGES)[number]
  /** Of the package, for its JavaScript. */
  folder: string
  /** Of the native addon, `tfjs_binding.node`. */
  addon: string
}

/** What the addon tells of the library behind it. */
interface Binding {
  TF_Version: string
  isUsingGpuDevice(): boolean
}

/** The installation, or a line for each thing that is missing. */
export function findTensorflow(): Installation | string[] {
  const packages = PACKAGES.flatMap((name) => {
    try {
      return [{ name, folder: dirname(nodeRequire.resolve(`${name}/package.json`)) }]
    } catch {
      return []
    }
  })
  if (!packages.length) return [`package: neither ${PACKAGES.join(' nor ')} is installed; npm install one`]
  const elsewhere = process.env[ADDON_VARIABLE]
  if (elsewhere) {
    if (!existsSync(elsewhere))
      return [`native addon: ${ADDON_VARIABLE} names ${elsewhere}, which is not there`]
    return { ...packages[0]!, addon: elsewhere }
  }
  for (const found of packages) {
    // Built for a version of Node-API; a later Node understands earlier ones.
    for (let api = Number(process.versions.napi); api > 2; api--) {
      const addon = join(found.folder, 'lib', `napi-v${api}`, 'tfjs_binding.node')
      if (existsSync(addon)) return { ...found, addon }
    }
  }
  return [
    `native addon: ${packages[0]!.name} has no tfjs_binding.node; "npm run setup:cuda" fetches it, resources/build-tfjs-node.sh builds one for the CPU`,
  ]
}

/**
 * Registers tfjs-node's backend in our instance of tfjs. Its own entry file would do so too, but finds the addon only
 * inside the package.
 *
 * @throws failed, in one line, when a part is missing
 */
export function registerTensorflow(): string {
  const found = findTensorflow()
  if (Array.isArray(found)) throw failed(`the tensorflow backend is not installed: ${found.join('; ')}`)
  // TensorFlow counts what it does on stderr; errors stay.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  restoreUtil()
  try {
    const binding = nodeRequire(found.addon) as Binding
    if (!tf.findBackend('tensorflow')) {
      nodeRequire(join(found.folder, 'dist', 'register_all_kernels.js'))
      const { NodeJSKernelBackend } = nodeRequire(join(found.folder, 'dist', 'nodejs_kernel_backend.js')) as {
        NodeJSKernelBackend: new (binding: Binding, name: string) => KernelBackend
      }
      tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, found.name), 1)
    }
    return `${binding.TF_Version}, ${binding.isUsingGpuDevice() ? 'CUDA' : 'CPU'}`
  } catch (error) {
    throw failed(`the tensorflow backend does not load: ${(error as Error).message.split('\n')[0]}`, error)
  }
}

/** tfjs-node 4.22 calls two functions of util that Node 23 and later lack or warn about. */
function restoreUtil(): void {
  const util = nodeUtil as unknown as Record<string, unknown>
  util.isNullOrUndefined = (value: unknown) => value === null || value === undefined
  util.isArray = Array.isArray
}

const PROBE = `
const binding = require(process.argv[1])
console.log(JSON.stringify([binding.TF_Version, binding.isUsingGpuDevice()]))
`

/** libtensorflow 2.9, which tfjs-node 4.22 fetches, loads these when it finds a GPU. */
const CUDA = [
  { library: 'libcudart.so.11.0', what: 'CUDA 11.2' },
  { library: 'libcudnn.so.8', what: 'cuDNN 8.1' },
]

export interface TensorflowReport {
  available: boolean
  version?: string
  note: string
  missing: string[]
}

/** Loads the addon in a process of its own and says what it runs on, or what is missing, a line each. */
export async function examineTensorflow(): Promise<TensorflowReport> {
  const found = findTensorflow()
  if (Array.isArray(found)) return { available: false, note: 'not installed', missing: found }
  try {
    const [version, gpu] = JSON.parse(await runApart(PROBE, [found.addon])) as [string, boolean]
    const note = gpu ? 'CUDA' : 'CPU, no CUDA device'
    const missing = gpu || found.name === '@tensorflow/tfjs-node' ? [] : missingForCuda()
    return { available: true, version, note, missing }
  } catch (error) {
    const missing = [`native library: ${(error as Error).message}`]
    return { available: false, note: 'its library does not load', missing }
  }
}

function missingForCuda(): string[] {
  const answer = (command: string, ...args: string[]) => {
    try {
      return execFileSync(command, args, {
        encoding: 'utf8',
        timeout: 5000,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    } catch {
      return undefined
    }
  }
  const driver = answer('nvidia-smi', '--query-gpu=name', '--format=csv,noheader')
  if (!driver?.trim()) return ['NVIDIA driver: nvidia-smi is not there or finds no GPU']
  if (process.platform !== 'linux') return []
  const libraries = `${answer('ldconfig', '-p') ?? answer('/sbin/ldconfig', '-p') ?? ''}`
  const folders = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean)
  return CUDA.filter(
    ({ library }) =>
      !libraries.includes(library) && !folders.some((folder) => existsSync(join(folder, library))),
  ).map(({ library, what }) => `CUDA version: ${library} of ${what} is not found`)
}
