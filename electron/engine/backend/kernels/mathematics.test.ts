import { describe, it } from 'vitest'
import { expectRow } from '../expectSame'
import { elementwise, reductions } from './cases/mathematics'
import type { Row } from './cases/row'

describe.each([
  ['element by element', elementwise],
  ['reductions', reductions],
] as [string, Row[]][])('%s', (_area, rows) => {
  it.each(rows)('%s equals the reference', async (...row) => expectRow(row))
})
