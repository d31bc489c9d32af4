import { expect, it } from 'vitest'
import type { OnnxModel, OnnxNode } from './onnxModel'
import { inOrder } from './order'

const node = (output: string, ...inputs: string[]): OnnxNode => ({ name: 'Op', inputs, outputs: [output] })

/** A chain of four layers down and up again, each with a gradient of its own; the loss is asked for too. */
const model: OnnxModel = {
  nodes: [
    node('h1', 'x'),
    node('h2', 'h1'),
    node('loss', 'h2'),
    node('d2', 'h2'),
    node('d1', 'd2', 'h1'),
    node('first', 'd1', 'x'),
    node('w1', 'd1', 'h1'),
    node('w2', 'd2', 'h2'),
  ],
  initialisers: [],
  inputs: [],
  outputs: [],
}

const names = (nodes: readonly OnnxNode[]) => nodes.map(({ outputs }) => outputs[0]!)

it('puts what nobody else uses last, and of that what needs the least at the very end', () => {
  const ordered = names(inOrder(model).nodes)
  // loss needs 3 operators, w2 4, w1 and first 5.
  expect(ordered.slice(-4)).toEqual(['first', 'w1', 'w2', 'loss'])
  expect(ordered.slice(0, 4)).toEqual(['h1', 'h2', 'd2', 'd1'])
})

it('keeps every operator, each after what it needs', () => {
  const { nodes } = inOrder(model)
  expect([...names(nodes)].sort()).toEqual([...names(model.nodes)].sort())
  const made = new Set(['x'])
  for (const { inputs, outputs } of nodes) {
    for (const input of inputs) expect(made).toContain(input)
    made.add(outputs[0]!)
  }
})
