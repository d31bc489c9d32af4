import type { OnnxModel, OnnxNode } from './onnxModel'

/**
 * The same model, with its operators in the order that makes ONNX Runtime compute what is asked for as early as it can
 * be. The runtime begins with the last operator whose result nobody else uses, does all that it needs, then goes on to
 * the one before. So these come last, and of them those that need the fewest others at the very end: a weight's
 * gradient is computed when the layer's slopes are there and still in the caches, not when all layers are done.
 */
export function inOrder(model: OnnxModel): OnnxModel {
  const { nodes } = model
  const used = new Set(nodes.flatMap(({ inputs }) => inputs))
  const isLeaf = ({ outputs }: OnnxNode) => !outputs.some((name) => used.has(name))
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const leaves = nodes.filter(isLeaf).map((node) => ({ node, needs: needsOf(node, makers) }))
  leaves.sort((a, b) => b.needs - a.needs)
  return { ...model, nodes: [...nodes.filter((node) => !isLeaf(node)), ...leaves.map(({ node }) => node)] }
}

/** How many operators a node's result is made by. */
function needsOf(node: OnnxNode, makers: ReadonlyMap<string, OnnxNode>): number {
  const found = new Set<OnnxNode>([node])
  // The set grows while it is gone through.
  for (const { inputs } of found) {
    for (const input of inputs) {
      const maker = makers.get(input)
      if (maker) found.add(maker)
    }
  }
  return found.size
}
