import { cast, filled, node, reshape, scalar } from '../builder'
import type { Dtype, OnnxType, Value } from '../graph'
import { sumWithRows } from '../rowSum'
import { leakyRelu, prelu, relu6 } from './activation'
import { atan2, floorDiv, mod } from './arithmetic'
import { broadcastShape, pair } from './pair'
import type { Kernel, KernelTable } from './table'

/** Kernels that treat each element by itself, with broadcasting. */

/** An operator on two values of the same type. */
function binary(name: string): Kernel {
  return ({ a, b }) => pair(name, a!, b!)
}

function comparison(name: string): Kernel {
  return ({ a, b }) => {
    const type: OnnxType = a!.type === 'bool' || b!.type === 'bool' ? 'int32' : a!.type
    return node(name, [cast(a!, type), cast(b!, type)], broadcastShape(a!, b!), 'bool')
  }
}

function logical(name: string): Kernel {
  return ({ a, b }) => node(name, [cast(a!, 'bool'), cast(b!, 'bool')], broadcastShape(a!, b!), 'bool')
}

/** An operator of floats; the result is float32. */
function float(name: string): Kernel {
  return ({ x }) => floatNode(name, x!)
}

function floatNode(name: string, x: Value): Value {
  return node(name, [cast(x, 'float32')], x.shape, 'float32')
}

/** An operator that keeps the type of numbers. */
function same(name: string): Kernel {
  return ({ x }) => node(name, [x!], x!.shape, x!.type)
}

/** A rounding operator: whole numbers are what they are. */
function rounding(name: string): Kernel {
  return ({ x }) => (x!.type === 'float32' ? node(name, [x!], x!.shape, x!.type) : x!)
}

const add: Kernel = ({ a, b }) => {
  const sum = pair('Add', a!, b!)
  return sumWithRows(sum, a!, b!, (x, y) => pair('Add', x, y))
}

const constant = (value: Value, number: number) => scalar(number, value.type)

const squaredDifference: Kernel = ({ a, b }) => {
  const difference = pair('Sub', a!, b!)
  return pair('Mul', difference, difference)
}

const log1p: Kernel = ({ x }) => {
  // log(1 + x) = x * log(u) / (u - 1) with u = fl(1 + x) keeps the digits that 1 + x loses (Kahan).
  const value = cast(x!, 'float32')
  const u = pair('Add', value, constant(value, 1))
  const exact = node('Equal', [u, constant(u, 1)], u.shape, 'bool')
  const infinite = node('IsInf', [u], u.shape, 'bool')
  const log = floatNode('Log', u)
  const ratio = pair('Div', pair('Mul', value, log), pair('Sub', u, constant(u, 1)))
  const finite = node('Where', [exact, value, ratio], u.shape, 'float32')
  return node('Where', [infinite, log, finite], u.shape, 'float32')
}

const expm1: Kernel = ({ x }) => {
  // exp(x) - 1 = tanh(x / 2) (exp(x) + 1): no cancellation near 0, no overflow far below it.
  const value = cast(x!, 'float32')
  const half = pair('Mul', value, scalar(0.5, 'float32'))
  return pair('Mul', floatNode('Tanh', half), pair('Add', floatNode('Exp', value), scalar(1, 'float32')))
}

/** From the activation's output y: 1 above zero, y + 1 below. */
const eluGradient: Kernel = ({ dy, y }) => {
  const positive = node('GreaterOrEqual', [y!, scalar(0, 'float32')], y!.shape, 'bool')
  const below = pair('Mul', dy!, pair('Add', y!, constant(y!, 1)))
  return node('Where', [positive, dy!, below], y!.shape, 'float32')
}

const softplus: Kernel = ({ x }) => {
  // max(x, 0) + log(1 + exp(-|x|)): does not overflow.
  const value = cast(x!, 'float32')
  const tail = floatNode('Exp', floatNode('Neg', floatNode('Abs', value)))
  const log = log1p({ x: tail, list: [tail] } as never, {}) as Value
  return pair('Add', floatNode('Relu', value), log)
}

const step: Kernel = ({ x }, { alpha }) => {
  const value = cast(x!, 'float32')
  const positive = node('Greater', [value, scalar(0, 'float32')], value.shape, 'bool')
  const below = filled(value.shape, alpha as number, 'float32')
  const stepped = node('Where', [positive, scalar(1, 'float32'), below], value.shape, 'float32')
  const undefinedHere = node('IsNaN', [value], value.shape, 'bool')
  return cast(node('Where', [undefinedHere, value, stepped], value.shape, 'float32'), x!.type)
}

const clip: Kernel = ({ x }, { clipValueMin, clipValueMax }) => {
  const bound = (number: number) => filled([], number, x!.type as Dtype)
  return node(
    'Min',
    [node('Max', [x!, bound(clipValueMin)], x!.shape, x!.type), bound(clipValueMax)],
    x!.shape,
    x!.type,
  )
}

const select: Kernel = ({ condition, t, e }) => {
  // tfjs lets a condition of rank 1 choose whole rows.
  const shape = t!.shape
  const rank1 = condition!.shape.length === 1 && shape.length > 1
  const mask = rank1 ? reshape(condition!, [condition!.size, ...shape.slice(1).map(() => 1)]) : condition!
  const type = t!.type === 'bool' ? 'int32' : t!.type
  return cast(node('Where', [cast(mask, 'bool'), cast(t!, type), cast(e!, type)], shape, type), t!.type)
}

const isFinite: Kernel = ({ x }) => {
  const value = cast(x!, 'float32')
  const either = ['IsNaN', 'IsInf'].map((name) => node(name, [value], value.shape, 'bool'))
  return node('Not', [node('Or', either, value.shape, 'bool')], value.shape, 'bool')
}

const test =
  (name: string): Kernel =>
  ({ x }) =>
    node(name, [cast(x!, 'float32')], x!.shape, 'bool')

export const elementwise: KernelTable = {
  Add: add,
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: ({ a, b }) => pair('Div', cast(a!, 'float32'), cast(b!, 'float32')),
  FloorDiv: floorDiv,
  Mod: mod,
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow'),
  SquaredDifference: squaredDifference,
  AddN: ({ list }) => list.reduce((a, b) => pair('Add', a, b)),

  Equal: comparison('Equal'),
  NotEqual: (x, attributes) => {
    const equal = comparison('Equal')(x, attributes) as Value
    return node('Not', [equal], equal.shape, 'bool')
  },
  Greater: comparison('Greater'),
  GreaterEqual: comparison('GreaterOrEqual'),
  Less: comparison('Less'),
  LessEqual: comparison('LessOrEqual'),
  LogicalAnd: logical('And'),
  LogicalOr: logical('Or'),
  BitwiseAnd: binary('BitwiseAnd'),
  LogicalNot: ({ x }) => node('Not', [cast(x!, 'bool')], x!.shape, 'bool'),

  Neg: same('Neg'),
  Abs: same('Abs'),
  Sign: same('Sign'),
  Square: ({ x }) => pair('Mul', x!, x!),
  Exp: float('Exp'),
  Expm1: expm1,
  Log: float('Log'),
  Log1p: log1p,
  Sqrt: float('Sqrt'),
  Rsqrt: ({ x }) => floatNode('Reciprocal', floatNode('Sqrt', x!)),
  Reciprocal: float('Reciprocal'),
  Sigmoid: float('Sigmoid'),
  Tanh: float('Tanh'),
  Sin: float('Sin'),
  Cos: float('Cos'),
  Tan: float('Tan'),
  Sinh: float('Sinh'),
  Cosh: float('Cosh'),
  Asin: float('Asin'),
  Acos: float('Acos'),
  Atan: float('Atan'),
  Atan2: atan2,
  Asinh: float('Asinh'),
  Acosh: float('Acosh'),
  Atanh: float('Atanh'),
  Erf: float('Erf'),
  Relu: ({ x }) => node('Relu', [x!], x!.shape, x!.type),
  Relu6: ({ x }) => cast(relu6(cast(x!, 'float32')), x!.type),
  LeakyRelu: ({ x }, { alpha }) => leakyRelu(cast(x!, 'float32'), alpha),
  Prelu: ({ x, alpha }) => prelu(cast(x!, 'float32'), cast(alpha!, 'float32')),
  Selu: float('Selu'),
  Elu: float('Elu'),
  EluGrad: eluGradient,
  Softplus: softplus,
  Step: step,
  Floor: rounding('Floor'),
  Ceil: rounding('Ceil'),
  Round: rounding('Round'),
  IsNan: test('IsNaN'),
  IsInf: test('IsInf'),
  IsFinite: isFinite,
  ClipByValue: clip,
  Select: select,
}
