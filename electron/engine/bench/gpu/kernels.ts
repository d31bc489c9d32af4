import { startBackend } from '../../backend'
import { kernels } from '../../backend/kernels'
import { basics } from '../../backend/kernels/cases/basics'
import { compositions } from '../../backend/kernels/cases/compositions'
import { edges } from '../../backend/kernels/cases/edges'
import { indexing } from '../../backend/kernels/cases/indexing'
import { convolutions, images } from '../../backend/kernels/cases/layers'
import { elementwise, reductions } from '../../backend/kernels/cases/mathematics'
import { right } from '../../backend/kernels/cases/right'
import { tensor, type Row as Case } from '../../backend/kernels/cases/row'
import { tf } from '../../backend/tf'
import { large } from './large'
import { say, type Checked } from './row'

/** Part of the value, or of 1 where that is more: WGSL lets sine and cosine be off by 2^-11 = 4.9e-4. */
const TOLERANCE = 5e-4

interface Found {
  shape: number[]
  type: string
  data: ArrayLike<number>
}

interface Question {
  name: string
  /** What is computed, in tensors; called within a tidy. */
  compute: () => tf.Tensor[]
  /** What is right, if not what the reference gives. */
  expected?: ArrayLike<number>
}

/** Every case that the tests compare on the CPU, with its gradients, and some of a real size. */
export function questions(): Question[] {
  const rows = [
    ...basics,
    ...elementwise,
    ...reductions,
    ...indexing,
    ...convolutions,
    ...images,
    ...compositions,
    ...large,
  ]
  return [
    ...rows.map(questionOf),
    ...edges.map(([name, op]) => ({ name, compute: () => [op()].flat() })),
    ...right.map(([name, op, expected]) => ({ name, compute: () => [op()], expected })),
  ]
}

function questionOf([name, shapes, op, gradient = false, range = [-2, 2]]: Case): Question {
  const operands = shapes.map((shape) => tensor(shape, ...range))
  const compute = () => {
    const inputs = operands.map(({ shape, data }) => tf.tensor(data, shape))
    if (!gradient) return [op(...inputs)]
    // Of the sum of squares, which weighs every element differently.
    const gradients = tf.grads((...x) => tf.sum(tf.square(op(...x))) as tf.Scalar)(inputs)
    return [op(...inputs), ...gradients]
  }
  return { name, compute }
}

/**
 * Compares WebGPU with the reference and tells of it as it goes: the process may die of any case.
 * @param together cases of a session; where it fails, they are looked at one by one
 */
export async function checkKernels(from: number, together: number): Promise<void> {
  const all = questions()
  await startBackend('webgpu', { threads: 1 })
  const called = watch('webgpu')
  for (let at = from; at < all.length; at += together) {
    const some = all.slice(at, at + together)
    process.stdout.write(`cases ${at + 1} to ${at + some.length} of ${all.length}\n`)
    const ours = await on('webgpu', some).catch(() => undefined)
    const found = ours ?? (await alone(some))
    const expected = await on('cpu', some)
    const checked: Checked = {
      next: at + some.length,
      right: 0,
      wrong: [],
      special: [],
      worst: { what: '', error: 0 },
      called: [...called],
      kernels: Object.keys(kernels).length,
    }
    for (const [i, { name, expected: known }] of some.entries())
      judge(checked, name, found[i]!, known ? [{ ...expected[i]![0]!, data: known }] : expected[i]!)
    say({ checked })
  }
}

async function on(backend: 'webgpu' | 'cpu', some: readonly Question[]): Promise<Found[][]> {
  await tf.setBackend(backend)
  const tensors: tf.Tensor[][] = []
  try {
    tf.tidy(() => {
      for (const { compute } of some) tensors.push(compute().map((tensor) => tf.keep(tensor)))
    })
    const reading = tensors.map((list) => Promise.all(list.map(read)))
    return await Promise.all(reading)
  } finally {
    tf.dispose(tensors)
  }
}

async function read(tensor: tf.Tensor): Promise<Found> {
  const data = (await tensor.data()) as unknown as ArrayLike<number>
  return { shape: tensor.shape, type: tensor.dtype, data: Array.from(data) }
}

/** Each by itself, or what it threw. */
async function alone(some: readonly Question[]): Promise<(Found[] | Error)[]> {
  const found: (Found[] | Error)[] = []
  for (const one of some)
    found.push(
      await on('webgpu', [one]).then(
        ([list]) => list!,
        (error: Error) => error,
      ),
    )
  return found
}

function judge(checked: Checked, what: string, found: Found[] | Error, expected: readonly Found[]): void {
  const { worst } = checked
  if (found instanceof Error) {
    checked.wrong.push(`${what}: ${found.message.split('\n')[0]!.slice(0, 200)}`)
    return
  }
  const reasons = expected.map((reference, i) => compare(found[i]!, reference))
  const errors = reasons.filter((reason) => typeof reason === 'number')
  const wrong = reasons.filter((reason) => typeof reason === 'object')
  const worse = wrong.find(({ special }) => !special) ?? wrong[0]
  if (worse) {
    checked[worse.special ? 'special' : 'wrong'].push(`${what}: ${worse.words}`)
    return
  }
  checked.right++
  const error = Math.max(0, ...errors)
  if (error > worst.error) Object.assign(worst, { what, error })
}

/** What is wrong; `special`: only where the right value is infinite or no number. */
interface Wrong {
  words: string
  special: boolean
}

/** The largest error, as a part of the value or of 1; or what is wrong. */
export function compare(found: Found, expected: Found): number | Wrong {
  const wrong = (words: string) => ({ words, special: false })
  if (found.shape.join() !== expected.shape.join())
    return wrong(`shape [${found.shape.join()}], not [${expected.shape.join()}]`)
  if (found.type !== expected.type) return wrong(`${found.type}, not ${expected.type}`)
  let worst = 0
  let special: Wrong | undefined
  for (let i = 0; i < expected.data.length; i++) {
    const [own, value] = [found.data[i]!, expected.data[i]!]
    const words = `${own} at place ${i}, not ${value}`
    if (Number.isFinite(value)) {
      const error = Math.abs(own - value) / Math.max(1, Math.abs(value))
      if (!(error <= TOLERANCE)) return wrong(words)
      worst = Math.max(worst, error)
    } else if (!Object.is(own, value)) special ??= { words, special: true }
  }
  return special ?? worst
}

/** Names of the kernels that a backend is asked for from now on. */
function watch(backend: string): Set<string> {
  const called = new Set<string>()
  for (const name of Object.keys(kernels)) {
    const registered = tf.getKernel(name, backend) as { kernelFunc: tf.KernelFunc }
    const { kernelFunc } = registered
    registered.kernelFunc = (given) => {
      called.add(name)
      return kernelFunc(given)
    }
  }
  return called
}
