import { RunFolder } from '../../store'

/** Folders below the data directory that the tasks of runs read or go on from. */
export function foldersOf(dataDir: string, runs: readonly string[]): string[] {
  const folders = new Set<string>()
  for (const run of runs) {
    folders.add(`runs/${run}`)
    const { corpora, tokenizer, teachers: own, foreign = [], origin } = new RunFolder(dataDir, run).config()!
    const teachers = [...own, ...foreign.map(({ row }) => row)]
    for (const { row } of corpora) folders.add(`library/corpora/${row.id}`)
    for (const { id } of origin ? [...teachers, origin] : teachers) folders.add(`library/teachers/${id}`)
    for (const id of [tokenizer.id, ...teachers.map((teacher) => teacher.tokenizer)])
      folders.add(`library/tokenizers/${id}`)
  }
  return [...folders]
}
