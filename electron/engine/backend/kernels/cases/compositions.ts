import { tf } from '../../tf'
import { whole, type Row } from './row'

export const compositions: Row[] = [
  ['bandPart', [[4, 5]], (x) => tf.linalg.bandPart(x!, 1, 2)],
  ['gramSchmidt', [[3, 4]], (x) => tf.linalg.gramSchmidt(x as tf.Tensor2D) as tf.Tensor],
  ['qr', [[4, 3]], (x) => tf.matMul(...(tf.linalg.qr(x!) as [tf.Tensor, tf.Tensor]))],
  [
    'softmaxCrossEntropy',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.softmaxCrossEntropy(tf.softmax(a!), b!),
  ],
  [
    'sigmoidCrossEntropy',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.sigmoidCrossEntropy(tf.sigmoid(a!), b!),
  ],
  [
    'huberLoss',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.huberLoss(a!, b!),
    true,
  ],
  [
    'absoluteDifference',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.absoluteDifference(a!, b!),
    true,
  ],
  [
    'meanSquaredError',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.meanSquaredError(a!, b!),
    true,
  ],
  [
    'logLoss',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.logLoss(tf.sigmoid(a!), tf.sigmoid(b!)),
    true,
  ],
  [
    'cosineDistance',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.losses.cosineDistance(a!, b!, 1),
    true,
  ],
  ['hingeLoss', [[3, 4]], (a) => tf.losses.hingeLoss(tf.greater(a!, 0), a!)],
  [
    'confusionMatrix',
    [[6]],
    (x) => tf.math.confusionMatrix(whole(x!) as tf.Tensor1D, whole(x!) as tf.Tensor1D, 7),
  ],
  [
    'an LSTM cell',
    [[2, 3], [2, 4], [2, 4], [7, 16], [16]],
    (x, c, h, w, b) =>
      tf.concat(
        tf.basicLSTMCell(
          tf.scalar(1),
          w as tf.Tensor2D,
          b as tf.Tensor1D,
          x as tf.Tensor2D,
          c as tf.Tensor2D,
          h as tf.Tensor2D,
        ),
        1,
      ),
    true,
  ],
  [
    'a GRU cell',
    [
      [2, 4],
      [2, 4],
      [8, 4],
      [8, 4],
    ],
    (x, h, gate, w) => {
      const z = tf.sigmoid(tf.matMul(tf.concat([x!, h!], 1), gate!))
      const candidate = tf.tanh(tf.matMul(tf.concat([x!, tf.mul(z, h!)], 1), w!))
      return tf.add(tf.mul(z, h!), tf.mul(tf.sub(1, z), candidate))
    },
    true,
  ],
]
