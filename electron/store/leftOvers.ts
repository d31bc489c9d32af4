import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { runFiles } from '#contract'
import { libraryNouns, paths } from './dataDirectory'
import { folderNames } from './folders'
import { RunFolder } from './runFolder'

/** Of an interrupted write or import, or of a lock that was about to be taken. */
const LEFT_OVER = /\.tmp$|^lock\.json\.(claim-)?\w+$/

/** What interrupted work left, where it leaves it. Without a holder of the data directory's lock nobody needs it. */
export function leftOvers(dataDir: string): string[] {
  const shelves = libraryNouns.map((noun) => paths.library(dataDir, noun))
  const runs = folderNames(paths.runs(dataDir)).filter((id) => !new RunFolder(dataDir, id).hasLiveWriter())
  const places = [
    dataDir,
    paths.goodCopies(dataDir),
    paths.reports(dataDir),
    paths.runs(dataDir),
    paths.bin(dataDir),
    ...shelves.flatMap((shelf) => [shelf, ...folderNames(shelf).map((id) => join(shelf, id))]),
    ...runs.flatMap((id) => {
      const run = paths.run(dataDir, id)
      return [run, join(run, runFiles.checkpoints)]
    }),
  ]
  return places.flatMap((place) =>
    existsSync(place)
      ? readdirSync(place)
          .filter((name) => LEFT_OVER.test(name))
          .map((name) => join(place, name))
      : [],
  )
}

/**
 * Removes it, by the holder of the data directory's lock.
 *
 * @returns what, relative to the data directory
 */
export function sweepLeftOvers(dataDir: string): string[] {
  return leftOvers(dataDir).map((path) => {
    rmSync(path, { recursive: true, force: true })
    return relative(dataDir, path)
  })
}
