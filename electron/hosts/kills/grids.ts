import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Catalogue } from '../../store'
import { command, copyOfFurnished, hear, model, random, start, write } from './tools'
import { killWorker, result } from './runs'

const grid = {
  name: 'both',
  base: {
    name: 'cell',
    corpus: 'recipes',
    tokenizer: 'bpe',
    student: model,
    teachers: ['cook', 'clerk'],
    train: { steps: 60, batch: 8, context: 24, learningRate: 0.003, warmup: 4 },
    evaluate: { every: 20, tokens: 400 },
    checkpoint: { every: 7, keep: 2 },
    cache: { mode: 'exact' },
  },
  axes: { 'loss.tau': [1, 2], 'loss.lambda': [0.2, 0.5, 0.8] },
}

/** Kills a grid suffers, about, before it comes to its end. */
const KILLS_EACH = 8
/** A command's own start takes so long. */
const START_MS = 1500

/** A grid whose command is killed again and again has at its end every cell, each with the undisturbed one's bits. */
export async function killGrid(wanted: number) {
  const file = write('grid', grid)
  const calm = copyOfFurnished('calm-grid')
  const began = performance.now()
  await command(calm, 'grid', file)
  const length = performance.now() - began
  const expected = cellsOf(calm)
  let [kills, faults] = [0, 0]
  for (let round = 0; kills < wanted; round++) {
    const dataDir = copyOfFurnished(`stormy-grid-${round}`)
    let own = 0
    for (let ended = false; !ended && kills < wanted;) {
      const child = start(dataDir, 'grid', file)
      const heard = hear(child)
      await Promise.race([heard, sleep(START_MS + random.next() * 2 * (length / KILLS_EACH))])
      ended = child.exitCode !== null
      if (ended) break
      child.kill('SIGKILL')
      for (const { id } of new Catalogue(dataDir, 'read').data.runs) killWorker(join(dataDir, 'runs', id))
      await heard
      own++
      kills++
    }
    const { status, stderr } = await hear(start(dataDir, 'grid', file))
    const same = status === 0 && equal(cellsOf(dataDir), expected)
    if (!same) faults++
    console.log(
      `grid ${round}: ${own} kills, ${same ? 'the same bits as the undisturbed' : `ANOTHER RESULT ${stderr}`}`,
    )
  }
  return { kills, faults }
}

/** Results by the cell's place. */
function cellsOf(dataDir: string): Map<string, string> {
  const { grids } = new Catalogue(dataDir, 'read').data
  const cells = grids.find(({ name }) => name === grid.name)?.cells ?? []
  return new Map(
    cells.map(({ axes, seed, run }) => [
      JSON.stringify([axes, seed]),
      run ? result(join(dataDir, 'runs', run)) : 'none',
    ]),
  )
}

const equal = (one: Map<string, string>, other: Map<string, string>) =>
  one.size === other.size && [...one].every(([cell, found]) => other.get(cell) === found)
