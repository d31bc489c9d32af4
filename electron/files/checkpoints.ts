import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkpoint, parse, RetortError, type Checkpoint } from '#contract'
import { readJson } from './json'

/**
 * The checkpoints below `folder`, oldest first. Left-overs of an interrupted write are not among them.
 *
 * @param damaged hears of those whose description cannot be read, and their step; they are then left out
 * @throws bad-input naming the first of these, where nobody hears of it
 */
export function listCheckpoints(
  folder: string,
  damaged?: (problem: RetortError, step: number) => void,
): Checkpoint[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => /^step-\d+$/.test(name) && existsSync(join(folder, name, 'checkpoint.json')))
    .flatMap((name) => {
      const file = join(folder, name, 'checkpoint.json')
      try {
        return parse(checkpoint, readJson(file), file)
      } catch (error) {
        if (!damaged || !(error instanceof RetortError)) throw error
        damaged(error, Number(name.slice('step-'.length)))
        return []
      }
    })
    .sort((a, b) => a.step - b.step)
}
