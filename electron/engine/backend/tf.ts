/**
 * The one place that imports tfjs. `@tensorflow/tfjs` registers gradients and the `cpu` backend in the same CommonJS
 * instance of tfjs-core that it re-exports; a second import of tfjs-core (its ESM files) would not see our kernels.
 */
import * as tf from '@tensorflow/tfjs'

export { tf }
