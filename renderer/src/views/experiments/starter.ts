/** What a new experiment begins with: everything that has no default, and the settings that one changes first. */
export const STARTER = `name: NAME
corpus: tinyshakespeare          # a corpus of the library, or a list of { name, weight }
student: { width: 64, layers: 2, heads: 4, kvHeads: 2, context: 128 }
teachers: []                     # names in the library; none is cross-entropy only
weighting: { strategy: entropy, temperature: 1 }
loss: { lambda: 0.5, tau: 1, features: { gamma: 0.1 } }
train: { steps: 400, batch: 16, context: 128, learningRate: 0.001, warmup: 40 }
evaluate: { every: 100, tokens: 20000 }
checkpoint: { every: 100, keep: 2 }
seed: 1
`
