import type { BinNoun, Teacher, Use } from '#contract'
import type { CatalogueData } from '../../store'
import { readYaml } from '../experiments'

/**
 * What refers to things of the catalogue: what can no longer be run as it is without them,
 * or shows less. What keeps a copy of its own (a report of its runs, a teacher of the run that trained it) does not.
 */
export function usesOf(data: CatalogueData, noun: BinNoun, ids: readonly string[]): Use[] {
  const meant = new Set(ids)
  const things = data[noun].filter(({ id }) => meant.has(id))
  const names = new Set(things.flatMap(({ id, name }) => [id, name]))
  const found: Use[] = []
  const add = (
    kind: BinNoun,
    { id, name }: { id: string; name: string },
    says: string | undefined | false,
  ) => {
    if (says) found.push({ noun: kind, id, name, says })
  }
  for (const row of data.experiments) add('experiments', row, said(noun, names, read(row.definition)))
  for (const row of data.grids) {
    const { base, axes } = (read(row.definition) ?? {}) as { base?: unknown; axes?: object }
    const cells = noun === 'runs' && row.cells.some(({ run }) => run !== undefined && meant.has(run))
    const own = noun === 'experiments' && typeof base === 'string' && names.has(base)
    add('grids', row, said(noun, names, base) || (mentions(axes, names) && AXIS[noun]))
    add('grids', row, cells && 'has its result in a cell')
    add('grids', row, own && 'is made of it')
    add('grids', row, noun === 'reports' && meant.has(row.report ?? '') && 'has it as its report')
  }
  for (const row of data.runs) {
    const teachers = [...row.teachers, ...row.foreign]
    add(
      'runs',
      row,
      noun === 'corpora' && row.corpora.some(({ id }) => meant.has(id)) && 'has learnt from it',
    )
    add('runs', row, noun === 'teachers' && teachers.some(({ id }) => meant.has(id)) && 'has learnt from it')
    add('runs', row, noun === 'teachers' && meant.has(row.origin?.id ?? '') && 'began as it')
    add('runs', row, noun === 'experiments' && meant.has(row.experiment ?? '') && 'was started from it')
  }
  // One that is meant itself goes with what it was made of.
  const made = ({ id, derived }: Teacher) => derived && meant.has(derived.from) && !meant.has(id)
  for (const row of data.teachers) add('teachers', row, noun === 'teachers' && made(row) && 'was made of it')
  return found
}

const AXIS: Partial<Record<BinNoun, string>> = {
  corpora: 'has it on an axis',
  teachers: 'has it on an axis',
}

/** What a definition says of the things. */
function said(noun: BinNoun, names: ReadonlySet<string>, definition: unknown): string | undefined {
  const {
    corpus,
    teachers,
    tokenizer,
    student,
    continue: from,
  } = (definition ?? {}) as Record<string, unknown>
  if (noun === 'corpora' && mentions(corpus, names)) return 'learns from it'
  if (noun === 'teachers' && mentions(teachers, names)) return 'is taught by it'
  if (noun === 'teachers' && mentions(tokenizer, names)) return 'has its tokenizer'
  const { init, from: model } = (student ?? {}) as { init?: unknown; from?: unknown }
  if (noun === 'teachers' && mentions(model, names)) return 'begins as it'
  if (noun === 'teachers' && mentions(init, names)) return 'begins with its layers'
  if (noun === 'runs' && mentions((from as { run?: unknown } | undefined)?.run, names))
    return 'goes on from it'
  return undefined
}

/** Whether one of the names stands anywhere in a value. */
function mentions(value: unknown, names: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return names.has(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).some((inner) => mentions(inner, names))
}

/** A text that can be read; one that cannot refers to nothing. */
function read(definition: string): unknown {
  try {
    return readYaml(definition)
  } catch {
    return undefined
  }
}
