import { tf } from '../backend/tf'

/** By parameter name. */
export type Gradients = Map<string, tf.Tensor>

/** The gradients that tfjs gives by its own names of variables, by ours. */
export function byName(variables: ReadonlyMap<string, tf.Variable>, grads: tf.NamedTensorMap): Gradients {
  const gradients: Gradients = new Map()
  for (const [name, variable] of variables) {
    const gradient = grads[variable.name]
    if (gradient) gradients.set(name, gradient)
  }
  return gradients
}

/** The values of a tensor, which is disposed of. */
export async function take(vector: tf.Tensor): Promise<Float32Array> {
  const values = (await vector.data()) as Float32Array
  vector.dispose()
  return values
}
