import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Catalogue, healthOf } from '../../store'
import { command, copyOfFurnished, folder, hear, one, random, start } from './tools'

/** Commands that add to the library or write out of it, by what they are called with a new name. */
const commands: Record<string, (name: string) => string[]> = {
  corpus: (name) => ['import', 'corpus', join(folder, 'corpus.txt'), '--name', name],
  teacher: (name) => ['import', 'teacher', join(folder, 'exported'), '--name', name],
  derived: (name) => ['derive-teacher', 'cook', '--logit-scale', '2', '--name', name],
  evaluated: () => ['evaluate', 'cook', '--corpus', 'sums'],
  calibrated: () => ['calibrate', 'cook', '--corpus', 'recipes'],
  exported: (name) => ['export', 'cook', '--format', 'hf', '--out', join(folder, name)],
}

/** What a kill may leave: `doctor --rebuild` removes it or makes a row of it, and has to find nothing wrong afterwards. */
const EXPECTED = /left (over|behind)|the disk has|the catalogue has no row of it/

/**
 * Imports, derivations, scores, calibrations and exports are killed: no row that was there is lost, what the catalogue
 * lists is whole by its digests, and the same command then does its work.
 */
export async function killLibrary(wanted: number) {
  const dataDir = copyOfFurnished('library')
  const corpus = new Catalogue(dataDir, 'read').data.corpora[0]!
  cpSync(join(dataDir, 'library/corpora', corpus.id, 'documents.jsonl'), join(folder, 'corpus.txt'))
  await command(dataDir, 'export', 'cook', '--format', 'hf', '--out', join(folder, 'exported'))
  const lengths = new Map<string, number>()
  let faults = 0
  for (let kill = 0; kill < wanted; kill++) {
    const kind = one(Object.keys(commands))
    const name = `${kind}-${kill}`
    const args = commands[kind]!(name)
    const before = rowsOf(dataDir)
    if (!lengths.has(kind)) {
      const began = performance.now()
      await command(dataDir, ...commands[kind]!(`${name}-first`))
      lengths.set(kind, performance.now() - began)
    }
    const child = start(dataDir, ...args)
    const heard = hear(child)
    const delay = lengths.get(kind)! * (0.3 + 0.7 * random.next())
    await sleep(delay)
    child.kill('SIGKILL')
    const { status } = await heard
    // A worker whose host is gone finds out by itself.
    await sleep(300)
    const lost = before.filter((row) => !rowsOf(dataDir).includes(row))
    const problems = (await healthOf(dataDir, true)).filter((line) => !EXPECTED.test(line))
    rmSync(join(folder, name), { recursive: true, force: true })
    const again = await hear(start(dataDir, ...commands[kind]!(`${name}-again`)))
    const fault = lost.length > 0 || problems.length > 0 || again.status !== 0
    if (fault) faults++
    const ended = status === null ? 'killed' : `had ended with ${status}`
    console.log(
      `library ${kill}: ${kind} ${ended} after ${Math.round(delay)} ms${fault ? `: FAULT ${[...lost, ...problems, again.stderr].join('; ')}` : ''}`,
    )
    await command(dataDir, 'doctor', '--rebuild')
  }
  return { kills: wanted, faults }
}

function rowsOf(dataDir: string): string[] {
  const { corpora, tokenizers, teachers, runs, experiments } = new Catalogue(dataDir, 'read').data
  return [...corpora, ...tokenizers, ...teachers, ...runs, ...experiments].map(({ id }) => id)
}
