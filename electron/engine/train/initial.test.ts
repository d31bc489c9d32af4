import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ModelConfig,
  type RunConfig,
  EMBEDDING,
  HEAD,
  layerWeight,
  layerWeights,
  weightShapes,
} from '#contract'
import { writeModel } from '../model/modelFolder'
import { initialise, type Weights } from '../model/weights'
import { initialWeights } from './initial'
import { model, runConfig } from './testing'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'retort-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

/** Those that a Llama has. */
const names = (Object.keys(layerWeights) as (keyof typeof layerWeights)[]).filter((which) =>
  weightShapes(model).has(layerWeight(0, which)),
)

/** A run whose only teacher is the student with `layers` layers, and that teacher's weights. */
async function withTeacher(
  layers: number,
  init: unknown,
  changes: Partial<ModelConfig> = {},
): Promise<{ config: RunConfig; teacher: Weights }> {
  const { width, heads, kvHeads, hidden, context } = model
  const config = runConfig(
    { student: { width, layers: model.layers, heads, kvHeads, hidden, context, init } },
    1,
  )
  const teacherModel = { ...model, layers, ...changes }
  config.teachers[0]!.model = teacherModel
  const teacher = initialise(teacherModel, 99)
  const folder = join(dataDir, 'library', 'teachers', config.teachers[0]!.id)
  config.teachers[0]!.digest = await writeModel(folder, teacherModel, teacher)
  return { config, teacher }
}

/** Which teacher layer each student layer is, by its weights alone; undefined where they are none's. */
function layersOf(student: Weights, teacher: Weights, layers: number): (number | undefined)[] {
  return Array.from({ length: model.layers }, (_, own) =>
    Array.from({ length: layers }, (__, l) => l).find((l) =>
      names.every((name) => {
        const [a, b] = [student.get(layerWeight(own, name))!, teacher.get(layerWeight(l, name))!]
        return a.data.length === b.data.length && a.data.every((value, i) => Object.is(value, b.data[i]))
      }),
    ),
  )
}

describe('a student that begins with a teacher’s layers', () => {
  it('has their weights, each bit, spread evenly with the last among them, and the teacher’s embedding', async () => {
    const { config, teacher } = await withTeacher(6, 'teacher')
    const { weights, note } = await initialWeights(dataDir, config)
    // DistilBERT's every other layer: of six the third and the sixth.
    expect(layersOf(weights, teacher, 6)).toEqual([2, 5])
    expect(weights.get(EMBEDDING)!.data).toEqual(teacher.get(EMBEDDING)!.data)
    expect(note).toContain('layers 3, 6 of teacher "teacher 0"')
    for (const [name, { shape }] of initialise(config.student, 1))
      expect(weights.get(name)!.shape).toEqual(shape)
  })

  it('has the first, or those that are named, in the order in which they are', async () => {
    for (const [layers, expected] of [
      ['first', [0, 1]],
      ['every-other', [2, 4]],
      [
        [4, 1],
        [3, 0],
      ],
    ] as const) {
      const { config, teacher } = await withTeacher(5, { teacher: 'teacher 0', layers })
      const { weights } = await initialWeights(dataDir, config)
      expect(layersOf(weights, teacher, 5)).toEqual(expected)
    }
  })

  it('takes a tied teacher’s embedding as the head that it has of its own', async () => {
    const { config, teacher } = await withTeacher(2, 'teacher')
    config.student = { ...config.student, tied: false }
    const { weights } = await initialWeights(dataDir, config)
    expect(weights.get(HEAD)!.data).toEqual(teacher.get(EMBEDDING)!.data)
  })

  it('is drawn from the seed where no teacher fits, and refused where a named one does not', async () => {
    const wider = { width: 32, hidden: 64 }
    const { config } = await withTeacher(4, 'teacher', wider)
    const { weights, note } = await initialWeights(dataDir, config)
    expect(note).toContain('no teacher has the student')
    const drawn = initialise(config.student, config.experiment.seed)
    for (const [name, { data }] of drawn) expect(weights.get(name)!.data).toEqual(data)
    const { config: named } = await withTeacher(4, { teacher: 'teacher 0', layers: 'first' }, wider)
    await expect(initialWeights(dataDir, named)).rejects.toThrow(
      /teacher "teacher 0" does not fit: its width is 32/,
    )
  })
})
