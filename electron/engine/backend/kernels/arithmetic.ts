import { cast, node, scalar } from '../builder'
import type { Value } from '../graph'
import { broadcastShape, pair } from './pair'
import type { Kernel } from './table'

/** Divisions with a remainder, and the angle of a point: kernels that have to mind signs, zeros and infinities. */

const test = (name: string, a: Value, b: Value) => node(name, [a, b], broadcastShape(a, b), 'bool')
const not = (x: Value) => node('Not', [x], x.shape, 'bool')

/** @param shape what all three broadcast to */
const where = (shape: readonly number[], condition: Value, yes: Value, no: Value) =>
  node('Where', [condition, yes, no], shape, no.type)

/**
 * a / b of int32 rounded down, and what is left, with b's sign. Exact: floats would lose digits from 2^24 on. Both are 0
 * where b is 0, for which the processor would stop the program.
 */
function divideIntegers(a: Value, b: Value): { quotient: Value; remainder: Value } {
  const shape = broadcastShape(a, b)
  const [zero, minusOne] = [test('Equal', b, scalar(0, 'int32')), test('Equal', b, scalar(-1, 'int32'))]
  // The least int32 by -1 stops it too.
  const special = node('Or', [zero, minusOne], b.shape, 'bool')
  const divisor = where(b.shape, special, scalar(1, 'int32'), b)
  const cut = pair('Div', a, divisor)
  const left = pair('Sub', a, pair('Mul', cut, divisor))
  const signs = [test('Less', left, scalar(0, 'int32')), test('Less', divisor, scalar(0, 'int32'))]
  const apart = node('Xor', signs, shape, 'bool')
  const rounded = node('And', [not(test('Equal', left, scalar(0, 'int32'))), apart], shape, 'bool')
  const down = cast(rounded, 'int32')
  const quotient = where(shape, minusOne, node('Neg', [a], a.shape, 'int32'), pair('Sub', cut, down))
  return {
    quotient: where(shape, zero, scalar(0, 'int32'), quotient),
    remainder: where(shape, zero, scalar(0, 'int32'), pair('Add', left, pair('Mul', down, divisor))),
  }
}

const whole = (a: Value, b: Value) => a.type !== 'float32' && b.type !== 'float32'

/** floor(a / b) */
export const floorDiv: Kernel = ({ a, b }) => {
  if (whole(a!, b!)) return divideIntegers(cast(a!, 'int32'), cast(b!, 'int32')).quotient
  const quotient = pair('Div', cast(a!, 'float32'), cast(b!, 'float32'))
  return cast(node('Floor', [quotient], quotient.shape, 'float32'), a!.type)
}

/** What is left of a / b, with the sign of the divisor, as Python has it. */
export const mod: Kernel = ({ a, b }) => {
  if (whole(a!, b!)) return divideIntegers(cast(a!, 'int32'), cast(b!, 'int32')).remainder
  const [x, y] = [cast(a!, 'float32'), cast(b!, 'float32')]
  const shape = broadcastShape(x, y)
  const remainder = (of: Value) => node('Mod', [of, y], shape, 'float32', { attributes: { fmod: 1 } })
  const left = remainder(x)
  const negative = (v: Value) => test('Less', v, scalar(0, 'float32'))
  const apart = node('Xor', [negative(x), negative(y)], shape, 'bool')
  return cast(where(shape, apart, remainder(pair('Add', left, y)), left), a!.type)
}

/** The angle of (x, y) from the x axis, as C's atan2: atan(y / x) and the half it lies in, which -0 decides too. */
export const atan2: Kernel = ({ a, b }) => {
  const [up, right] = [cast(a!, 'float32'), cast(b!, 'float32')]
  const shape = broadcastShape(up, right)
  const zero = scalar(0, 'float32')
  const isZero = (v: Value) => test('Equal', v, zero)
  const infinite = (v: Value) => node('IsInf', [v], v.shape, 'bool')
  const same = (name: string, v: Value) => node(name, [v], v.shape, 'float32')
  const negative = (v: Value) => test('Less', where(v.shape, isZero(v), same('Reciprocal', v), v), zero)

  const diagonal = node('And', [infinite(up), infinite(right)], shape, 'bool')
  const [y, x] = [up, right].map((v) => where(shape, diagonal, same('Sign', v), v))
  const angle = node('Atan', [pair('Div', y!, x!)], shape, 'float32')
  const origin = node('And', [isZero(up), isZero(right)], shape, 'bool')
  const within = where(shape, origin, scalar(0, 'float32'), angle)
  const half = where(up.shape, negative(up), scalar(-Math.PI, 'float32'), scalar(Math.PI, 'float32'))
  return where(shape, negative(right), pair('Add', within, half), within)
}
