import { expect, it } from 'vitest'
import { heldData, startBackend } from '../backend'
import type { LazyBackend } from '../backend/lazyBackend'
import { Pace } from '../backend/pace'
import { Replay } from '../backend/replay'
import type { Threading } from '../backend/session'
import { tf } from '../backend/tf'
import { meanSquaredError } from '../distill/features'
import { fuseTeachers } from '../distill/objective'
import { mixedLoss } from '../distill/losses'
import { createTables, forward } from '../model/forward'
import { initialise, toTensors } from '../model/weights'
import { createRandom } from '../random'
import { model } from './testing'

/** Large enough that the runtime splits products and passes among threads, in sizes that do not divide evenly. */
const student = {
  ...model,
  vocab: 501,
  width: 120,
  layers: 3,
  heads: 6,
  kvHeads: 2,
  hidden: 200,
  context: 47,
}
const [BATCH, TIME, STEPS] = [7, 47, 5]
const TOKENS = BATCH * TIME
const weighting = { strategy: 'entropy', granularity: 'token', temperature: 1, fusion: 'arithmetic' } as const

class Fixed extends Pace {
  constructor(private readonly order: Threading[]) {
    super(2)
    this.threading = order[0]!
  }

  override after(): void {
    this.order.push(this.order.shift()!)
    this.threading = this.order[0]!
  }
}

/** The bytes of the loss and of every gradient, step by step, of a student of two teachers. */
async function gradients(threads: number, order: Threading[]): Promise<string[][]> {
  await startBackend('onnx', { threads })
  const parameters = toTensors(initialise(student, 3))
  const variables = new Map([...parameters].map(([name, value]) => [name, tf.variable(value)]))
  const tables = createTables(student, TIME)
  const random = createRandom(4, 'threads.test')
  const normals = (size: number) => Float32Array.from({ length: size }, () => 2 * random.normal())
  const teachers = [0, 1].map(() => tf.keep(tf.tensor2d(normals(TOKENS * 501), [TOKENS, 501])))
  const hidden = tf.keep(tf.tensor2d(normals(TOKENS * 120), [TOKENS, 120]))
  const replay = new Replay(tf.backend() as LazyBackend, new Fixed([...order]))
  const steps: string[][] = []
  for (let step = 0; step < STEPS; step++) {
    const draw = () => Int32Array.from({ length: TOKENS }, () => random.integer(501))
    const arrays = [draw(), draw()] as const
    const compute = () => {
      const labels = tf.tensor1d(arrays[1], 'int32')
      const loss = () => {
        const said = forward(student, variables, tf.tensor2d(arrays[0], [BATCH, TIME], 'int32'), tables)
        const target = fuseTeachers(weighting, 1, teachers, BATCH)
        const { loss } = mixedLoss(said.logits, labels, target.p, tf.mean(target.entropy), {
          lambda: 0.5,
          tau: 1,
        })
        return tf.add<tf.Scalar>(loss, meanSquaredError(said.hidden[2]!, hidden))
      }
      const { value, grads } = tf.variableGrads(loss, [...variables.values()])
      const named = [...variables].map(([name, { name: own }]) => [name, grads[own]!] as const)
      return new Map<string, tf.Tensor>([['loss', tf.reshape(value, [1])], ...named])
    }
    const results = await replay.run({ key: '', arrays, compute })
    steps.push([...results.values()].map((tensor) => bytes(tensor)))
    tf.dispose([...results.values()])
  }
  expect((tf.backend() as LazyBackend).statistics.replayed).toBeGreaterThanOrEqual(2)
  return steps
}

function bytes(tensor: tf.Tensor): string {
  const { buffer, byteOffset, byteLength } = heldData(tensor)
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

it('steps of two threads, spinning or not, and of one have the same bits', async () => {
  const alone = await gradients(1, ['waiting'])
  expect(await gradients(2, ['waiting'])).toEqual(alone)
  expect(await gradients(2, ['spinning', 'single', 'spinning', 'single'])).toEqual(alone)
})
