import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, delimiter, join } from 'node:path'
import { node } from './builder'
import { traceGraph, Value } from './graph'
import { known } from './known'
import { FLOAT, HALF } from './half'
import { encodeModel, encodeOnnx } from './onnx'
import { runApart } from './apart'

const nodeRequire = createRequire(import.meta.url)

/** A device that WebGPU may find. ONNX Runtime picks one itself and does not tell which; the system is asked. */
export interface Adapter {
  name: string
  /** A CPU that plays GPU: right, and very slow. */
  software: boolean
}

const VENDORS: Record<string, string> = { '0x10de': 'NVIDIA', '0x1002': 'AMD', '0x8086': 'Intel' }

/** The adapters that the system names, none where it names none. Never throws. */
export function listAdapters(): Adapter[] {
  try {
    if (process.platform === 'linux') return linuxAdapters(process.env)
    if (process.platform === 'darwin') return [{ name: 'GPU through Metal', software: false }]
    if (process.platform === 'win32') return windowsAdapters()
  } catch {
    return []
  }
  return []
}

export function linuxAdapters(
  environment: NodeJS.ProcessEnv,
  devices = '/sys/class/drm',
  nvidia = '/proc/driver/nvidia/gpus',
): Adapter[] {
  // The Vulkan loader looks at these drivers and no others.
  const drivers = environment.VK_DRIVER_FILES || environment.VK_ICD_FILENAMES
  if (drivers) {
    const names = drivers.split(delimiter).filter((path) => existsSync(path))
    const chosen = names.map((path) => ({ name: basename(path), software: /swiftshader|lvp/.test(path) }))
    if (!chosen.length || chosen.every(({ software }) => software)) return chosen
  }
  const found = new Map<string, Adapter>()
  for (const card of existsSync(nvidia) ? readdirSync(nvidia) : []) {
    const model = /^Model:\s*(.+)$/m.exec(readFileSync(join(nvidia, card, 'information'), 'utf8'))?.[1]
    found.set(card.toLowerCase(), { name: model ?? 'NVIDIA GPU', software: false })
  }
  for (const entry of existsSync(devices) ? readdirSync(devices) : []) {
    const file = (name: string) => join(devices, entry, 'device', name)
    if (!entry.startsWith('renderD') || !existsSync(file('vendor'))) continue
    const vendor = VENDORS[readFileSync(file('vendor'), 'utf8').trim()]
    // A display of a virtual machine draws on the CPU.
    if (!vendor) continue
    const slot = /PCI_SLOT_NAME=(.+)/.exec(
      existsSync(file('uevent')) ? readFileSync(file('uevent'), 'utf8') : '',
    )
    const id = slot?.[1]?.toLowerCase() ?? entry
    if (!found.has(id)) found.set(id, { name: `${vendor} GPU (${id})`, software: false })
  }
  return [...found.values()]
}

function windowsAdapters(): Adapter[] {
  const command = '(Get-CimInstance Win32_VideoController).Name'
  const options = { encoding: 'utf8', timeout: 10_000, windowsHide: true } as const
  return execFileSync('powershell', ['-NoProfile', '-Command', command], options)
    .split(/\r?\n/)
    .filter(Boolean)
    .map((name) => ({ name, software: /Microsoft Basic|Remote Display|Virtual/i.test(name) }))
}

/** Computes four numbers on WebGPU. */
const PROBE = `
const ort = require(process.argv[1])
const options = { executionProviders: ['webgpu'], logSeverityLevel: 4 }
ort.InferenceSession.create(Buffer.from(process.argv[2], 'base64'), options)
  .then((session) => session.run({ i0: new ort.Tensor('float32', [1, 2, 3, 4], [4]) }))
  .then((results) => {
    const numbers = Object.values(results)[0].data.join()
    if (numbers !== process.argv[3]) throw new Error('it computes wrongly: ' + numbers)
    process.exit(0)
  })
`

/**
 * Computes something on WebGPU in a process of its own.
 * @throws Error with one line that says what stands in the way
 */
export async function probeWebgpu(): Promise<void> {
  const x = known([1, 2, 3, 4], [4], 'float32')
  const square: Value = node('Mul', [x, x], [4], 'float32')
  await probe(encodeModel(traceGraph([square])), [1, 4, 9, 16])
}

/**
 * Rounds numbers to float16 on WebGPU, and back, in a process of its own.
 * @throws Error with one line that says what stands in the way
 */
export async function probeHalf(): Promise<void> {
  const values = [{ name: 'i0', type: 'float32', shape: [4] }] as const
  const nodes = [
    { name: 'Cast', inputs: ['i0'], outputs: ['half'], attributes: { to: HALF } },
    { name: 'Cast', inputs: ['half'], outputs: ['whole'], attributes: { to: FLOAT } },
    { name: 'Mul', inputs: ['whole', 'whole'], outputs: ['square'] },
  ]
  const outputs = [{ ...values[0], name: 'square' }]
  await probe(encodeOnnx({ nodes, initialisers: [], inputs: values, outputs }), [1, 4, 9, 16])
}

/** @param model of one input i0, [4], that is given 1, 2, 3, 4 */
async function probe(model: Uint8Array, expected: number[]): Promise<void> {
  const given = [
    nodeRequire.resolve('onnxruntime-node'),
    Buffer.from(model).toString('base64'),
    expected.join(),
  ]
  await runApart(PROBE, given).catch((error: Error) => {
    throw new Error(explain(error.message))
  })
}

/** ONNX Runtime's message names a line of its source and a check; what it means is at its end. */
function explain(message: string): string {
  if (message.includes('Failed to get a WebGPU adapter'))
    return process.platform === 'linux'
      ? 'no adapter: it needs a Vulkan driver (libvulkan1, the GPU’s own, and for NVIDIA’s without a display libegl1)'
      : 'no adapter'
  if (message.includes('requires f16')) return 'the adapter has no f16 (shader-f16)'
  return message
}

/** What `auto` chooses, and why it is not WebGPU if there is a GPU that does not answer. */
export async function chooseProvider(): Promise<{ kind: 'onnx' | 'webgpu'; note?: string }> {
  const real = listAdapters().find(({ software }) => !software)
  if (!real) return { kind: 'onnx' }
  try {
    await probeWebgpu()
    return { kind: 'webgpu' }
  } catch (error) {
    return { kind: 'onnx', note: `${real.name} is not used: ${(error as Error).message}` }
  }
}
