import { badInput, type Experiment, type ModelConfig, type RunConfig, type Tokenizer } from '#contract'
import { RunFolder } from '../../store'
import type { LibraryRows } from '../context'
import { findNamed } from '../identity'

interface Continuing {
  student: ModelConfig
  tokenizer: Tokenizer
  corpora: RunConfig['corpora']
}

/**
 * The checkpoint that a definition's `continue` means.
 *
 * @param own what the definition itself resolves to: the earlier student must be of the same shape and tokenizer
 * @throws bad-input naming the field: a run that still goes on, has no checkpoint, or has another student
 */
export function resolveContinuation(
  definition: Experiment,
  own: Continuing,
  { runs, dataDir }: LibraryRows,
  file: string | undefined,
): RunConfig['continues'] {
  if (!definition.continue) return undefined
  const where = { file, field: 'continue.run' }
  const row = findNamed('run', runs, definition.continue.run, where)
  const expected = 'a run that has ended and left a checkpoint'
  if (['queued', 'running', 'paused'].includes(row.status))
    throw badInput(`run "${row.name}" is ${row.status}`, { ...where, expected })
  const folder = new RunFolder(dataDir, row.id)
  const config = folder.config()
  const last = folder.checkpoints().at(-1)
  const checkpoint = definition.continue.checkpoint === 'last' ? last : folder.bestCheckpoint()?.row
  if (!config || !checkpoint) throw badInput(`run "${row.name}" has no checkpoint`, { ...where, expected })
  if (config.tokenizer.digest !== own.tokenizer.digest) {
    throw badInput(
      `the student of run "${row.name}" has the vocabulary of tokenizer "${config.tokenizer.name}", this one that of "${own.tokenizer.name}"`,
      { ...where, expected: 'a run with the same tokenizer' },
    )
  }
  checkShape(row.name, config.student, own.student, file)
  const trained = new Set(own.corpora.map((corpus) => corpus.row.digest))
  return {
    run: row.id,
    name: row.name,
    step: checkpoint.step,
    digest: checkpoint.files['model.safetensors']!,
    corpora: config.corpora.map((corpus) => corpus.row).filter(({ digest }) => !trained.has(digest)),
  }
}

function checkShape(name: string, earlier: ModelConfig, own: ModelConfig, file: string | undefined): void {
  for (const key of Object.keys(own) as (keyof ModelConfig)[]) {
    if (JSON.stringify(own[key]) === JSON.stringify(earlier[key])) continue
    throw badInput(`the student of run "${name}" has ${key} ${earlier[key]}, this one ${own[key]}`, {
      file,
      field: `student.${key}`,
      expected: `${earlier[key]}: a continued student keeps its shape`,
    })
  }
}
