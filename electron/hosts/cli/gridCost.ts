import type { GridEstimate } from '#contract'
import type { Rooms } from '../../services'
import { readDefinition } from './runs'
import type { Outcome } from './session'
import { duration, formatTable } from './terminal'

/** What the grid will cost, cell by cell; nothing is written. */
export async function foretell(
  { grids, context }: Rooms,
  file: string,
  jobs?: number | 'auto',
): Promise<Outcome> {
  const definition = readDefinition(file)
  const known = jobs === 'auto' ? (await grids.chooseJobs({ definition }, file)).jobs : jobs
  if (known !== undefined) context.jobs = known
  const estimate = grids.estimate({ definition }, file)
  const paths = Object.keys(estimate.each[0]!.axes)
  const table = formatTable(
    [...paths, 'seed', 'time', 'memory MB', 'disk MB'],
    estimate.each.map(({ axes, seed, done, seconds, memoryMb, diskMb }) => [
      ...paths.map((path) => [axes[path]].flat().map(String).join('+')),
      String(seed),
      done ? 'done' : seconds === undefined ? 'unknown' : duration(seconds),
      String(memoryMb),
      String(diskMb),
    ]),
  )
  return { json: estimate, text: `${table}\n\n${costs(estimate)}` }
}

/** The same in a line. */
export function costs(estimate: GridEstimate): string {
  const {
    cells,
    done,
    teacherPasses,
    teacherPassesWithoutCache,
    cacheMb,
    cacheBytesPerToken,
    seconds,
    jobs,
  } = estimate
  const shared = cacheMb
    ? ` instead of ${teacherPassesWithoutCache}, ${cacheMb} MB of cache (${cacheBytesPerToken} bytes a token and teacher)`
    : ''
  const time =
    seconds === undefined ? 'time unknown until a run was measured here' : `about ${duration(seconds)}`
  return `${cells} cells (${done} done), ${jobs} side by side: ${time}; ${teacherPasses} teacher passes${shared}; memory ${estimate.memoryMb} MB, disk ${estimate.diskMb} MB`
}
