import { tf } from './tf'

let registered = false

/**
 * Gradients of a kernel of ours, and of kernels whose tfjs gradients multiply with a tensor of ones as large as the input: on a lazy
 * backend those ones would be made on the host and fed anew each step. Ours spread the incoming gradient instead.
 */
export function registerGradients(): void {
  if (registered) return
  registered = true
  for (const kernelName of ['Sum', 'Mean']) {
    tf.unregisterGradient(kernelName)
    tf.registerGradient({
      kernelName,
      inputsToSave: ['x'],
      gradFunc: (dy, saved, attributes) => {
        const x = saved[0]!
        const { axis } = attributes as unknown as { axis: number | number[] }
        const axes = tf.util.parseAxisParam(axis, x.shape)
        const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size))
        const count = kernelName === 'Mean' ? axes.reduce((product, i) => product * x.shape[i]!, 1) : 1
        return {
          x: () => {
            const spread = tf.reshape(dy as tf.Tensor, kept)
            return tf.broadcastTo(count === 1 ? spread : tf.div(spread, count), x.shape)
          },
        }
      },
    })
  }
  tf.registerGradient({
    kernelName: 'RowDot',
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, [a, b]) => ({
      a: () => tf.mul(dy as tf.Tensor, b!),
      b: () => tf.mul(dy as tf.Tensor, a!),
    }),
  })
}
