import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { detectBackends, startBackend } from '.'
import { runApart } from './apart'
import { layerNorm, rmsNorm, rotate, swish } from '../model/layers'
import { fusedKernel } from './fused'
import { traceGraph } from './graph'
import type { LazyBackend } from './lazyBackend'
import { encodeModel } from './onnx'
import { loadRuntime, sessionOptions } from './session'
import { findTensorflow, registerTensorflow } from './tensorflow'
import { tf } from './tf'
import { linuxAdapters } from './webgpu'
import { webgpuObstacle } from './webgpuObstacle'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'retort-devices-'))))
afterEach(() => {
  rmSync(folder, { recursive: true })
  vi.unstubAllEnvs()
})

describe('a script apart', () => {
  it('gives back what it prints', async () => {
    expect(await runApart('console.log(process.argv[1])', ['heard'])).toBe('heard')
  })

  it('takes its crash with it, and says how it died', async () => {
    await expect(runApart('process.abort()', [])).rejects.toThrow(/dies with SIGABRT/)
  })

  it('tells in one line what it threw', async () => {
    const script = "throw new TypeError('libcudart.so.11.0: cannot open shared object file')"
    await expect(runApart(script, [])).rejects.toThrow(/^libcudart.so.11.0: cannot open shared object file$/)
  })
})

describe('adapters on Linux', () => {
  function device(name: string, vendor: string, slot: string): void {
    mkdirSync(join(folder, 'drm', name, 'device'), { recursive: true })
    writeFileSync(join(folder, 'drm', name, 'device', 'vendor'), `${vendor}\n`)
    writeFileSync(join(folder, 'drm', name, 'device', 'uevent'), `DRIVER=x\nPCI_SLOT_NAME=${slot}\n`)
  }
  const list = (environment: NodeJS.ProcessEnv = {}) =>
    linuxAdapters(environment, join(folder, 'drm'), join(folder, 'nvidia'))

  it('are the cards of the system, each once, and no display of a virtual machine', () => {
    device('renderD128', '0x10de', '0000:01:00.0')
    device('renderD129', '0x8086', '0000:00:02.0')
    device('renderD130', '0x1af4', '0000:00:03.0')
    mkdirSync(join(folder, 'nvidia', '0000:01:00.0'), { recursive: true })
    writeFileSync(join(folder, 'nvidia', '0000:01:00.0', 'information'), 'Model: \t\t NVIDIA H100\nIRQ: 1\n')
    expect(list()).toEqual([
      { name: 'NVIDIA H100', software: false },
      { name: 'Intel GPU (0000:00:02.0)', software: false },
    ])
  })

  it('are a software driver alone, where the loader is told to look at no other', () => {
    device('renderD128', '0x10de', '0000:01:00.0')
    const driver = join(folder, 'vk_swiftshader_icd.json')
    writeFileSync(driver, '{}')
    expect(list({ VK_ICD_FILENAMES: driver })).toEqual([{ name: 'vk_swiftshader_icd.json', software: true }])
  })

  it('are none where there is none', () => {
    expect(list()).toEqual([])
  })
})

describe('the tensorflow backend', () => {
  it('names the part that is missing, in one line', () => {
    vi.stubEnv('RETORT_TFJS_ADDON', join(folder, 'absent.node'))
    expect(findTensorflow()).toEqual([
      expect.stringMatching(/^native addon: .*absent\.node, which is not there$/),
    ])
    expect(() => registerTensorflow()).toThrow(/not installed: native addon/)
  })

  it('that does not load is a line of the detection, not the end of the process', async () => {
    const addon = join(folder, 'tfjs_binding.node')
    writeFileSync(addon, 'not a library')
    vi.stubEnv('RETORT_TFJS_ADDON', addon)
    const found = (await detectBackends()).find(({ name }) => name === 'tensorflow')!
    expect(found.available).toBe(false)
    expect(found.missing).toEqual([expect.stringMatching(/^native library: .*tfjs_binding\.node/)])
  })
})

describe('WebGPU', () => {
  it('that has no adapter is refused in one line', async () => {
    if (process.platform !== 'linux') return
    vi.stubEnv('VK_DRIVER_FILES', join(folder, 'absent.json'))
    vi.stubEnv('VK_ICD_FILENAMES', join(folder, 'absent.json'))
    await expect(startBackend('webgpu', { threads: 1 })).rejects.toThrow(/^WebGPU cannot be used: no adapter/)
  })

  it('keeps what is not read on the device, copies out what is read later, and frees what is disposed of', async () => {
    const obstacle = await webgpuObstacle()
    if (obstacle) {
      process.stderr.write(`SKIPPED: WebGPU's resident tensors: ${obstacle}\n`)
      return
    }
    await startBackend('webgpu', { threads: 1 })
    const backend = tf.backend() as unknown as LazyBackend
    const rate = tf.tensor1d([0.5])
    let weights: tf.Tensor = tf.fill([80, 64], 8)
    const first = weights
    for (let i = 0; i < 4; i++) {
      const [next, mean] = tf.tidy(() => {
        const next = tf.mul(weights, rate)
        return [next, tf.mean(next)]
      })
      weights.dispose()
      weights = next!
      expect((await mean!.data())[0]).toBe(8 / 2 ** (i + 1))
      mean!.dispose()
      expect(backend.value(weights).data).toBeUndefined()
      expect(backend.value(weights).resident?.location).toBe('gpu-buffer')
    }
    expect(first.isDisposed).toBe(true)
    const held = backend.value(weights).resident!
    expect(Array.from(await weights.data())).toEqual(Array.from({ length: 5120 }, () => 0.5))
    expect(() => weights.dataSync()).toThrow(/memory of the device; await data/)
    weights.dispose()
    await tf.tidy(() => tf.add(rate, 1)).data()
    expect(held.location).toBe('none')
  })

  it('is found again with what it holds after another backend was used', async () => {
    if (tf.getBackend() !== 'webgpu') return
    const kept = tf.tidy(() => tf.mul(tf.range(0, 4), 2))
    await startBackend('onnx', { threads: 1 })
    expect((await tf.tidy(() => tf.add(tf.range(0, 2), 1)).data()).join()).toBe('1,2')
    await startBackend('webgpu', { threads: 1 })
    expect(tf.getBackend()).toBe('webgpu')
    expect((await tf.tidy(() => tf.add(kept, 1)).data()).join()).toBe('1,3,5,7')
    kept.dispose()
  })

  it('uploads a large input once, and reads it still', async () => {
    if (tf.getBackend() !== 'webgpu') return
    const backend = tf.backend() as unknown as LazyBackend
    const table = tf.range(0, 5000)
    for (const factor of [1, 2, 3]) {
      const [sum] = await tf.tidy(() => tf.sum(tf.mul(table, factor))).data()
      expect(sum).toBeCloseTo(factor * 12497500, -2)
    }
    expect(backend.value(table).resident).toBeDefined()
    expect((await table.data())[4999]).toBe(4999)
  })

  it('multiplies transposed matrices and normalises on the device: the provider would send what it lacks to the CPU', async () => {
    if (tf.getBackend() !== 'webgpu') return
    const backend = tf.backend() as unknown as LazyBackend
    const ort = await loadRuntime()
    const options = sessionOptions('webgpu')
    const extra = { session: { ...(options.extra!.session as object), disable_cpu_ep_fallback: '1' } }
    const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 1)
    const results = [
      tf.matMul(random(3, 4), random(5, 4), false, true),
      tf.matMul(random(4, 3), random(4, 5), true),
      tf.matMul(random(2, 4, 3), random(2, 5, 4), true, true),
      fusedKernel('LogSoftmax', { logits: random(3, 4) }, { axis: -1 })![0]!,
    ]
    const model = encodeModel(traceGraph(results.map((result) => backend.value(result))))
    const session = await ort.InferenceSession.create(model, { ...options, extra })
    await session.release()
  })

  it('computes the fused operations as the reference does', async () => {
    const obstacle = await webgpuObstacle()
    if (obstacle) {
      process.stderr.write(`SKIPPED: WebGPU's fused operations: ${obstacle}\n`)
      return
    }
    await startBackend('webgpu', { threads: 1 })
    const random = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed)
    const [x, gain, bias] = [random([64, 32], 1), random([32], 2), random([32], 3)]
    const [heads, angles] = [random([2, 2, 16, 8], 4), random([16, 8], 5)]
    await tf.setBackend('cpu')
    const half = tf.tile(tf.slice(angles, [0, 0], [16, 4]), [1, 2])
    const rotation = { cosine: tf.cos(half), sine: tf.sin(half) } as {
      cosine: tf.Tensor2D
      sine: tf.Tensor2D
    }
    const inputs = [x, gain, bias, heads, rotation.cosine, rotation.sine]
    const values = inputs.map((tensor) => [tensor.dataSync().slice(), tensor.shape] as const)

    /** Results and gradients of each layer on a backend. */
    const on = async (backend: string) => {
      await tf.setBackend(backend)
      const [x, gain, bias, heads, cosine, sine] = values.map(([data, shape]) => tf.tensor(data, shape))
      const layers: [(...xs: tf.Tensor[]) => tf.Tensor, tf.Tensor[]][] = [
        [(x, g) => rmsNorm(x as tf.Tensor2D, g as tf.Tensor1D, 1e-5), [x!, gain!]],
        [
          (x, g, b) => layerNorm(x as tf.Tensor2D, g as tf.Tensor1D, b as tf.Tensor1D, 1e-5),
          [x!, gain!, bias!],
        ],
        [(x) => swish(x as tf.Tensor2D), [x!]],
        [
          (x) => rotate(x as tf.Tensor4D, { cosine: cosine as tf.Tensor2D, sine: sine as tf.Tensor2D }),
          [heads!],
        ],
      ]
      const results = tf.tidy(() =>
        layers.flatMap(([layer, xs]) => [
          layer(...xs),
          ...tf.grads((...xs) => tf.sum(tf.square(layer(...xs))))(xs),
        ]),
      )
      return Promise.all(results.map(async (tensor) => Array.from(await tensor.data())))
    }
    const [expected, computed] = [await on('cpu'), await on('webgpu')]
    for (const [i, values] of computed.entries())
      for (const [j, value] of values.entries()) expect(value, `result ${i}`).toBeCloseTo(expected[i]![j]!, 3)
  })
})
