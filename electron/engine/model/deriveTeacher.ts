import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { FINAL_NORM, type Job, type Teacher } from '#contract'
import { placeItem } from '../../files'
import { readTeacher, writeModel } from './modelFolder'

type DeriveTeacherJob = Extract<Job, { kind: 'derive-teacher' }>

/**
 * A teacher made from another of the library whose logits are `logitScale` times the other's: the same ranking of
 * tokens, with more confidence (above 1) or less. The final norm's weights are scaled, after which the head is linear;
 * hidden states stay what they were. A scale other than 1 makes a calibrated teacher miscalibrated.
 */
export async function deriveTeacher(job: DeriveTeacherJob): Promise<Teacher> {
  const library = join(job.dataDir, 'library', 'teachers')
  const { config, weights } = await readTeacher(job.dataDir, job.from)
  const { shape, data } = weights.get(FINAL_NORM)!
  weights.set(FINAL_NORM, { shape, data: data.map((value) => value * job.logitScale) })
  const folder = join(library, job.id)
  const temporary = `${folder}.tmp`
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary, { recursive: true })
  const digest = await writeModel(temporary, config, weights)
  const { tokenizer, model, parameters } = job.from
  const row: Teacher = {
    id: job.id,
    name: job.name,
    source: 'derived',
    tokenizer,
    model,
    parameters,
    digest,
    derived: { from: job.from.id, logitScale: job.logitScale },
    perplexity: {},
    calibrations: [],
    createdAt: new Date().toISOString(),
  }
  placeItem(folder, row)
  return row
}
