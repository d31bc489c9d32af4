import { join } from 'node:path'
import {
  corpus,
  LIBRARY_ROW,
  reportRow,
  rowOfRun,
  run,
  storedExperiment,
  storedGrid,
  teacher,
  type BinNoun,
  type Corpus,
  type StoredExperiment,
  type Push,
  type ReportRow,
  type Run,
  type StoredGrid,
  type Teacher,
} from '#contract'
import type { z } from 'zod'
import { paths, type CatalogueData } from '../../store'
import { gridView } from '../grids'

export interface Named {
  id: string
  name: string
}

/** What the bin has to know of one kind of thing. */
export interface Kind<Row extends Named = Named> {
  /** One of them, in a message. */
  word: string
  schema: z.ZodType<Row>
  /** Its file or folder. */
  files?(dataDir: string, row: Row): string
  /** The copy of its row among its files, by name. */
  rowFile?: string
  /** Why it cannot be removed now; undefined when it can. */
  busy?(row: Row, data: CatalogueData): string | undefined
  /** The side of a score that is it: scores go and come with it. */
  scored?: 'model' | 'corpus'
  /** What the pages are told when it has gone, and when it is back. */
  gone(row: Row): Push
  back(row: Row, data: CatalogueData): Push
}

const AT_WORK: readonly Run['status'][] = ['queued', 'running', 'paused']

/** A run that is not through yet reads its corpora and its teachers. */
function readBy(noun: 'corpora' | 'teachers') {
  return ({ id, name }: Named, { runs }: CatalogueData) => {
    const reader = runs.find(
      (one) =>
        AT_WORK.includes(one.status) &&
        [...one[noun], ...(noun === 'teachers' ? [...one.foreign, one.origin] : [])].some(
          (used) => used?.id === id,
        ),
    )
    return reader && `"${name}" is in use by run "${reader.name}"`
  }
}

const listed = (noun: Extract<Push, { topic: 'library' }>['noun']) => {
  const push = () => ({ topic: 'library' as const, noun })
  return { gone: push, back: push }
}

const ofLibrary = (noun: 'corpora' | 'teachers') => ({
  files: (dataDir: string, { id }: Named) => paths.libraryItem(dataDir, noun, id),
  rowFile: LIBRARY_ROW,
  busy: readBy(noun),
  ...listed(noun),
})

const corpora: Kind<Corpus> = { word: 'corpus', schema: corpus, scored: 'corpus', ...ofLibrary('corpora') }
const teachers: Kind<Teacher> = {
  word: 'teacher',
  schema: teacher,
  scored: 'model',
  ...ofLibrary('teachers'),
}
const experiments: Kind<StoredExperiment> = {
  word: 'experiment',
  schema: storedExperiment,
  ...listed('experiments'),
}
const reports: Kind<ReportRow> = {
  word: 'report',
  schema: reportRow,
  files: (dataDir, { file }) => join(paths.reports(dataDir), file),
  ...listed('reports'),
}
const runs: Kind<Run> = {
  word: 'run',
  schema: run,
  files: (dataDir, { id }) => paths.run(dataDir, id),
  busy: ({ name, status }) =>
    AT_WORK.includes(status) ? `run "${name}" is ${status}; stop it before you remove it` : undefined,
  gone: ({ id }) => ({ topic: 'run-removed', id }),
  back: (row) => ({ topic: 'run', run: rowOfRun(row) }),
}
const grids: Kind<StoredGrid> = {
  word: 'grid',
  schema: storedGrid,
  busy: ({ name, status }) =>
    status === 'running' || status === 'paused'
      ? `grid "${name}" is ${status}; stop it before you remove it`
      : undefined,
  gone: ({ id }) => ({ topic: 'grid-removed', id }),
  back: (row, data) => ({ topic: 'grid', grid: gridView(row, data.runs) }),
}

/** By the name of its list in the catalogue. */
export const kinds = { experiments, corpora, teachers, grids, runs, reports } as unknown as Record<
  BinNoun,
  Kind
>
