import { setTimeout as sleep } from 'node:timers/promises'
import { Catalogue, healthOf } from '../../store'
import { copyOfFurnished, hear, random, script } from './tools'

/** A process that saves rows is killed: every row that it said was saved is there, and the catalogue is whole. */
export async function killCatalogue(wanted: number) {
  const dataDir = copyOfFurnished('catalogue')
  const saved = new Set<string>()
  let faults = 0
  for (let kill = 0; kill < wanted; kill++) {
    const child = script('electron/hosts/kills/writer.ts', dataDir, `k${kill}`)
    const heard = hear(child)
    let said = ''
    child.stdout!.on('data', (piece: Buffer) => (said += piece.toString()))
    for (let tries = 0; !said && child.exitCode === null && tries < 3000; tries++) await sleep(10)
    await sleep(random.next() * 100)
    child.kill('SIGKILL')
    const { stdout, stderr, status } = await heard
    if (status !== null) throw new Error(`the writer ended with ${status}: ${stderr}`)
    const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n')
    for (const name of whole.filter(Boolean)) saved.add(name)
    const rows = new Set(new Catalogue(dataDir, 'read').data.experiments.map(({ name }) => name))
    const lost = [...saved].filter((name) => !rows.has(name))
    const problems = (await healthOf(dataDir)).filter((line) => !/left (over|behind)|the disk has/.test(line))
    if (lost.length || problems.length) faults++
    console.log(
      `catalogue ${kill}: ${saved.size} rows saved, ${lost.length} lost${problems.map((line) => `; ${line}`).join('')}`,
    )
  }
  return { kills: wanted, faults }
}
