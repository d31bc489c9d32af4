import { describe, expect, it } from 'vitest'
import { placeAt } from './place'

/** The place of the bar in a text, and what was typed there. */
function at(text: string) {
  const bar = text.indexOf('|')
  const place = placeAt(text.replace('|', ''), bar)
  return place && `${place.kind} ${place.path.join('.')} "${text.slice(place.from, bar)}"`
}

describe('where somebody writes in a definition', () => {
  it.each([
    ['na|', 'key  "na"'],
    ['name: x\ntrain:\n  st|', 'key train "st"'],
    ['name: x\ntrain:\n  steps: 4\n  |', 'key train ""'],
    ['name: x\ntrain:\n  steps: 4\n|', 'key  ""'],
    ['name: x\ntrain:\n  steps: 4\n\n  ba|\nseed: 1', 'key train "ba"'],
    ['weighting:\n  strategy: ent|', 'value weighting.strategy "ent"'],
    ['train: { steps: 4, ba|', 'key train "ba"'],
    ['train: { steps: |', 'value train.steps ""'],
    ['train: { steps: 4 }\nse|', 'key  "se"'],
    ['train: {\n  steps: 4,\n  ba|', 'key train "ba"'],
    ['train: { mixture: { by: to|', 'value train.mixture.by "to"'],
    ['train: { mixture: { by: tokens }, ba|', 'key train "ba"'],
    ['teachers: [cook, |', 'value teachers ""'],
    ['teachers:\n  - coo|', 'value teachers "coo"'],
    ['teachers:\n- coo|', 'value teachers "coo"'],
    ['teachers:\n  - name: coo|', 'value teachers.name "coo"'],
    ['teachers:\n  - name: cook\n    pre|', 'key teachers "pre"'],
    ['corpus: "a: {b" # why {\nse|', 'key  "se"'],
    ['loss:\n  # the paper has\n  la|', 'key loss "la"'],
  ])('%j: %s', (text, expected) => {
    expect(at(text)).toBe(expected)
  })

  it('is nowhere within a comment', () => {
    expect(at('# na|')).toBeUndefined()
    expect(at('train: { steps: 4 # na|')).toBeUndefined()
  })
})
