import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { experimentRow, parse } from '#contract'
import { expandGrid } from './definition'
import { listPresets, presetGrid } from './presets'

const base = {
  name: 'base',
  corpus: 'text',
  student: { width: 48, layers: 1, heads: 2 },
  teachers: ['a', 'b', 'c'],
}
const now = new Date().toISOString()
const row = parse(experimentRow, {
  id: 'base-1',
  name: 'base',
  definition: stringify(base),
  createdAt: now,
  updatedAt: now,
})
const expand = (more: object, file?: string) =>
  expandGrid(stringify({ name: 'g', base: 'base', ...more }), [row], file)

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'retort-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a grid', () => {
  it('is the product of its axes and seeds, the last running fastest', () => {
    const { cells } = expand({
      axes: { 'loss.tau': [1, 2], teachers: [['a'], ['a', 'b']] },
      seeds: [7, 8],
    })
    expect(
      cells.map(({ experiment: { loss, teachers, seed } }) => [loss.tau, teachers.length, seed]),
    ).toEqual([
      [1, 1, 7],
      [1, 1, 8],
      [1, 2, 7],
      [1, 2, 8],
      [2, 1, 7],
      [2, 1, 8],
      [2, 2, 7],
      [2, 2, 8],
    ])
  })

  it('writes ranges out with their ends', () => {
    const { axes } = expand({
      axes: { 'loss.lambda': { range: [0, 0.3, 0.1] }, 'train.learningRate': { logRange: [1e-4, 1e-2, 3] } },
    })
    expect(axes).toEqual({ 'loss.lambda': [0, 0.1, 0.2, 0.3], 'train.learningRate': [1e-4, 1e-3, 1e-2] })
  })

  it('is refused where a method would set every cell of an axis to the same', () => {
    const under = (method: string, axes: object) => () =>
      expandGrid(stringify({ name: 'g', base: { ...base, method }, axes, seeds: [1] }), [])
    expect(under('entropy-opd', { 'train.source.kind': ['student', 'mixed'] })).toThrow(
      'axes.train.source.kind: value "mixed": train.source.kind: "mixed" changes nothing under method "entropy-opd", which says "student"',
    )
    // Beneath what is fixed, and above it.
    expect(under('uniform', { 'loss.features.gamma': [0.1, 0.5] })).toThrow(
      /axes\.loss\.features\.gamma: .*"uniform"/,
    )
    expect(under('uniform', { weighting: [{ strategy: 'entropy' }] })).toThrow(
      /axes\.weighting: .*weighting\.strategy "entropy" changes nothing/,
    )
    expect(under('single-teacher', { teachers: [['a'], ['a', 'b']] })).toThrow(
      /axes\.teachers: .*"single-teacher"/,
    )
    // A method as an axis sets what the base says otherwise, and what none of them fixes is free.
    const methods = { method: ['uniform', 'proposed'], 'loss.lambda': [0.5, 0.9] }
    expect(under('uniform', methods)().cells).toHaveLength(4)
    expect(under('proposed', { 'loss.features.gamma': [0.1, 0.5] })().cells).toHaveLength(2)
  })

  it('leaves out the cells that a condition matches in all its paths', () => {
    const { cells } = expand({
      axes: { 'loss.tau': [1, 2, 4], 'weighting.strategy': ['uniform', 'entropy'] },
      seeds: [1, 2],
      skip: [
        { 'weighting.strategy': 'uniform', 'loss.tau': [2, 4] },
        { 'loss.tau': 4, seed: 2 },
      ],
    })
    expect(cells.map(({ axes, seed }) => [...Object.values(axes), seed].join(' '))).toEqual([
      '1 uniform 1',
      '1 uniform 2',
      '1 entropy 1',
      '1 entropy 2',
      '2 entropy 1',
      '2 entropy 2',
      '4 entropy 1',
    ])
  })

  it('reads its base from a file beside it, from the library, or inline, and sets below what was off', () => {
    writeFileSync(join(folder, 'other.yaml'), stringify({ ...base, loss: { features: false } }))
    const axes = { 'loss.features.gamma': [0.5] }
    const yaml = (from: unknown) => stringify({ name: 'g', base: from, axes })
    const ofFile = expandGrid(yaml('./other.yaml'), [], join(folder, 'grid.yaml'))
    const ofLibrary = expandGrid(yaml('base'), [row])
    expect(ofFile.cells[0]!.experiment.loss.features).toMatchObject({ gamma: 0.5, layers: 'last' })
    expect(expandGrid(yaml(base), []).cells).toEqual(ofLibrary.cells)
    // What the library keeps needs no file any more.
    expect(expandGrid(ofFile.definition, []).cells).toEqual(ofFile.cells)
  })

  it.each([
    [{ axes: { 'train.stpes': [1] } }, /axes\.train\.stpes: .*"steps"/],
    [{ axes: { 'loss.tau': [1, -2] } }, /axes\.loss\.tau: value -2: loss\.tau/],
    [{ axes: { 'weighting.strategy': ['entropie'] } }, /axes\.weighting\.strategy: value "entropie"/],
    [{ axes: { 'loss.tau': { range: [2, 1, 1] } } }, /axes\.loss\.tau\.range: from 2 to 1/],
    [{ axes: { seed: [1, 2] } }, /axes\.seed: .*`seeds`/],
    [{ axes: { 'loss.tau': [1] }, skip: [{ 'loss.tua': 1 }] }, /skip\.0: .*loss\.tau/],
    [{ axes: { 'loss.tau': [1] }, skip: [{ 'loss.tau': 1 }] }, /skip: every cell is left out/],
    [{ axes: {}, base: 'bse' }, /base: there is no file and no experiment.*base/],
    [{ axes: {}, base: { ...base, student: { width: 7, layers: 1, heads: 2 } } }, /base: .*student\.heads/],
    [{ axes: { 'loss.tau': [] } }, /axes\.loss\.tau/],
  ])('refuses %j, naming the axis', (more, message) => {
    expect(() => expand(more, 'grid.yaml')).toThrow(message)
  })
})

describe('presets', () => {
  it.each(listPresets().map(({ name }) => name))('%s makes a grid of an experiment', (name) => {
    const { cells } = expandGrid(presetGrid(name, row), [])
    expect(cells.length).toBeGreaterThan(1)
    expect(new Set(cells.map(({ experiment }) => JSON.stringify(experiment))).size).toBe(cells.length)
  })

  it('routes teachers where the experiment says how', () => {
    const methodsOf = (definition: object) => {
      const grid = presetGrid('on-policy', { name: 'e', definition: stringify(definition) })
      return expandGrid(grid, []).cells.map(({ experiment }) => experiment.method)
    }
    expect(methodsOf(base)).not.toContain('mopd')
    const routes = { text: 'a' }
    expect(methodsOf({ ...base, weighting: { routes } })).toContain('mopd')
  })

  it('counts the teachers that the experiment has', () => {
    const halving = { metric: 'crossEntropy', minSteps: 100, reduction: 2 }
    expect(expandGrid(presetGrid('teacher-count', row, { halving }), []).grid.halving).toEqual(halving)
    const { axes } = expandGrid(presetGrid('teacher-count', row), [])
    expect(axes.teachers).toEqual([['a'], ['a', 'b'], ['a', 'b', 'c']])
    const alone = { name: 'alone', definition: stringify({ ...base, teachers: ['a'] }) }
    expect(() => presetGrid('teacher-count', alone)).toThrow(/two or more/)
  })
})
