import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { killCatalogue } from './catalogue'
import { killGrid } from './grids'
import { killLibrary } from './library'
import { killRuns } from './runs'
import { folder, furnish, seed } from './tools'

/**
 * `npm run kills`: commands that are killed with -9 at random moments, so often as is said, must lose nothing that was
 * there or that they had said was done, and compute what the undisturbed ones do. Not among the tests: it takes an hour.
 * Exit status 1 if one differs.
 */
const { values } = parseArgs({
  options: {
    /** How many runs the kills of runs are shared out among. */
    runs: { type: 'string', default: '8' },
    'run-kills': { type: 'string', default: '80' },
    'grid-kills': { type: 'string', default: '30' },
    'library-kills': { type: 'string', default: '50' },
    'catalogue-kills': { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    /** Of the kills of runs, how many are followed by a damage. */
    damage: { type: 'string', default: '0.4' },
  },
})
const count = (name: keyof typeof values) => Number(values[name])

seed(count('seed'))
await furnish()
const parts: [string, number, () => Promise<{ kills: number; faults: number }>][] = [
  ['catalogue', count('catalogue-kills'), () => killCatalogue(count('catalogue-kills'))],
  ['library', count('library-kills'), () => killLibrary(count('library-kills'))],
  ['grid', count('grid-kills'), () => killGrid(count('grid-kills'))],
  ['runs', count('run-kills'), () => killRuns(count('runs'), count('run-kills'), count('damage'))],
]
let faulty = 0
for (const [name, wanted, part] of parts) {
  if (!wanted) continue
  const { kills, faults } = await part()
  console.log(`${name}: ${kills} kills, ${faults} faults`)
  faulty += faults
}
if (faulty) {
  console.log(`kept in ${folder}`)
  process.exitCode = 1
} else rmSync(folder, { recursive: true, force: true })
