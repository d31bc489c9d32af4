import { beforeAll, describe, expect, it } from 'vitest'
import { fromHalf, toHalf } from '../teachers/cache/half'
import { checkHalf, inHalf, startBackend } from '.'
import { tf } from './tf'
import { probeHalf } from './webgpu'
import { webgpuObstacle } from './webgpuObstacle'

const X = [1.0001, 2.71828, -0.333333, 1e-3, 70000, 5]
const rounded = (values: readonly number[]) => fromHalf(toHalf(Float32Array.from(values)))

/** x + 0, then as many operators as given, then both added: how the first value comes out of its wait. */
async function afterWaiting(operators: number, shape: number[], view?: number[]): Promise<Float32Array> {
  const result = tf.tidy(() => {
    const value = tf.add(tf.tensor(X, shape), 0)
    let other = tf.mul(value, 0)
    for (let i = 0; i < operators; i++) other = tf.abs(other)
    const waiting = view ? tf.reshape(tf.reshape(value, view), shape) : value
    return tf.add(waiting, tf.where(tf.equal(other, other), 0, 0))
  })
  return inHalf(() => result.data()) as Promise<Float32Array>
}

describe('a value that waits', () => {
  beforeAll(() => startBackend('onnx', { threads: 1 }))

  it('is rounded to half precision once, to the nearest even', async () => {
    expect(await afterWaiting(100, [3, 2])).toEqual(rounded(X))
  })

  it('is the same under another shape', async () => {
    expect(await afterWaiting(100, [3, 2], [2, 3])).toEqual(rounded(X))
  })

  it('is left alone where it is needed soon, or is a number for each row', async () => {
    expect(await afterWaiting(5, [3, 2])).toEqual(Float32Array.from(X))
    expect(await afterWaiting(100, [6, 1])).toEqual(Float32Array.from(X))
    expect(await afterWaiting(100, [6])).toEqual(Float32Array.from(X))
  })

  it('is rounded only in work that asks for it', async () => {
    await afterWaiting(100, [3, 2])
    const x = tf.add(tf.tensor(X, [3, 2]), 0)
    let other = tf.mul(x, 0)
    for (let i = 0; i < 100; i++) other = tf.abs(other)
    expect(await tf.add(x, tf.where(tf.equal(other, other), 0, 0)).data()).toEqual(Float32Array.from(X))
  })

  it('is rounded on WebGPU too', async () => {
    const obstacle = (await webgpuObstacle()) ?? (await halfObstacle())
    if (obstacle) {
      process.stderr.write(`SKIPPED: half precision on WebGPU: ${obstacle}\n`)
      return
    }
    await startBackend('webgpu', { threads: 1 })
    const [finite, shape] = [
      [0, 1, 2, 3, 5],
      [3, 2],
    ]
    const [ours, expected] = [await afterWaiting(100, shape), rounded(X)]
    for (const i of finite) expect(ours[i]).toBe(expected[i])
  })
})

describe('half precision', () => {
  it('is refused in one line where a backend has none', async () => {
    await expect(checkHalf('onnx')).resolves.toBeUndefined()
    await expect(checkHalf('cpu')).rejects.toThrow(/^train\.precision: the backend cpu has no half precision/)
    if (await webgpuObstacle()) return
    const obstacle = await halfObstacle()
    if (obstacle) await expect(checkHalf('webgpu')).rejects.toThrow(/no f16 \(shader-f16\)/)
    else await expect(checkHalf('webgpu')).resolves.toBeUndefined()
  })
})

function halfObstacle(): Promise<string | undefined> {
  return probeHalf().then(
    () => undefined,
    (error: Error) => error.message,
  )
}
