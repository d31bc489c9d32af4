import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServices } from '../../services'
import { paths } from '../../store'
import { builtWorkers, commandLine } from '../built'
import { connectTo } from '../web/testing'

const root = resolve(import.meta.dirname, '../../..')
const folder = mkdtempSync(join(tmpdir(), 'retort-handover-'))
const dataDir = join(folder, 'data')

interface Started {
  child: ChildProcess
  /** Status and what it wrote. */
  ended: Promise<{ status: number | null; stdout: string; stderr: string }>
  /** Waits until its output has such text. */
  says(pattern: RegExp): Promise<string>
}

/** The command line as a process of its own, in a folder of its own. */
function start(...args: string[]): Started {
  const child = spawn(process.execPath, [commandLine, ...args, '--data-dir', dataDir, '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  let wake = () => {}
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (data) => {
      said[stream] += String(data)
      wake()
    })
  const ended = once(child, 'close').then(([status]) => {
    wake()
    return { status: status as number | null, ...said }
  })
  const says = async (pattern: RegExp) => {
    for (;;) {
      const found = pattern.exec(said.stdout + said.stderr)
      if (found) return found[0]
      if (child.exitCode !== null) throw new Error(`it ended: ${said.stdout}${said.stderr}`)
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  return { child, ended, says }
}

async function done(...args: string[]) {
  const { status, stdout, stderr } = await start(...args).ended
  expect(status, stderr).toBe(0)
  return { stderr, json: JSON.parse(stdout.trim().split('\n').at(-1)!) }
}

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const definition = (name: string, steps = 12) => `name: ${name}
corpus: recipes
tokenizer: bpe
student: { width: 16, layers: 1, heads: 2, context: 24 }
teachers: []
train: { steps: ${steps}, batch: 4, context: 24 }
evaluate: { every: 0, tokens: 300 }
checkpoint: { every: 5, keep: 2 }
`
const HANDED = /the app that is open on this data directory does it/

async function open() {
  const host = start('serve')
  const [, port, token] = /127\.0\.0\.1:(\d+)\/#token=([\w-]+)/.exec(await host.says(/http:\S+/))!
  return { host, port: Number(port), token: token! }
}

let app: Awaited<ReturnType<typeof open>>
let alone: { perplexity: unknown }

beforeAll(async () => {
  const services = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
  const { library } = services.rooms
  await library.generateCorpus({ name: 'recipes', domain: 'kitchen', bytes: 40_000, seed: 1 })
  await library.trainTokenizer({ name: 'bpe', corpora: ['recipes'], vocab: 300 })
  await services.close()
  alone = (await done('run', file('alone.yaml', definition('alone')))).json.metrics
  app = await open()
})
afterAll(async () => {
  app.host.child.kill('SIGTERM')
  await app.host.ended
  rmSync(folder, { recursive: true, force: true })
})

describe('a command beside the app that is open on its data directory', () => {
  it('gives its run to the app, whose pages hear of it, and ends with what it would have found alone', async () => {
    const page = connectTo(app)
    await page.say({ type: 'hello', token: app.token })
    const heard = (async () => {
      for (;;) {
        const frame = await page.next()
        if (frame === 'closed') throw new Error('closed')
        if (frame.type === 'push' && frame.push.topic === 'run' && frame.push.run.name === 'beside')
          return frame.push.run.status
      }
    })()
    const { json, stderr } = await done('run', file('beside.yaml', definition('beside')))
    expect(stderr).toMatch(HANDED)
    expect(['queued', 'running']).toContain(await heard)
    page.socket.close()
    expect(json).toMatchObject({ name: 'beside', status: 'completed', step: 12, metrics: alone })
  })

  it('hands over a grid', async () => {
    const grid = `name: rates\nbase:\n${definition('base', 4).replace(/^/gm, '  ')}\naxes: { train.learningRate: [0.001, 0.01] }\nseeds: [1]\n`
    const { json } = await done('grid', file('grid.yaml', grid))
    expect(json.status).toBe('completed')
    expect(json.cells.map(({ status }: { status: string }) => status)).toEqual(['completed', 'completed'])
  })

  it('hands over imports and the training of a tokenizer', async () => {
    const text = file('words.txt', 'Some words of a text.\n'.repeat(300))
    const corpus = await done('import', 'corpus', text, '--name', 'words')
    expect(corpus.json).toMatchObject({ name: 'words', documents: expect.any(Number) })
    const tokenizer = await done('train-tokenizer', '--corpus', 'words', '--vocab', '260', '--name', 'few')
    expect(tokenizer.json).toMatchObject({ name: 'few', vocab: 260 })
    const folderOfIt = join(dataDir, 'library/tokenizers', tokenizer.json.id)
    const again = start('import', 'tokenizer', join(folderOfIt, 'tokenizer.json'), '--name', 'other')
    expect(await again.ended).toMatchObject({ status: 1, stderr: expect.stringMatching(/already, as .*few/) })
  })

  it('hands over a teacher, brought or trained', async () => {
    const out = join(folder, 'exported')
    await done('export', 'alone', '--format', 'hf', '--out', out)
    const teacher = await done('import', 'teacher', out, '--name', 'brought', '--format', 'huggingface')
    expect(teacher.json).toMatchObject({ name: 'brought', source: 'huggingface' })
    const trained = definition('taught', 4)
      .replace(/teachers.*\n/, '')
      .replace('student:', 'model:')
    expect((await done('train-teacher', file('teacher.yaml', trained))).json.id).toMatch(/^taught/)
  })

  it('has what is measured of models measured and kept by the app', async () => {
    const asked = ['evaluate', 'taught', '--corpus', 'recipes', '--tokens', '300', '--prompts', '0']
    const { json, stderr } = await done(...asked)
    expect(stderr).toMatch(HANDED)
    const row = JSON.parse(readFileSync(paths.catalogue(dataDir), 'utf8')).teachers.find(
      ({ name }: { name: string }) => name === 'taught',
    )
    // It is kept with the teacher.
    expect(Object.values(row.perplexity)).toEqual([json.perplexity])
    const calibrated = await done('calibrate', 'taught', '--corpus', 'recipes')
    expect(calibrated.stderr).toMatch(HANDED)
    expect(calibrated.json).toEqual([
      { teacher: 'taught', calibration: expect.objectContaining({ temperature: expect.any(Number) }) },
    ])
    const int8 = await done('measure-int8', 'taught', '--corpus', 'recipes')
    expect(int8.json).toEqual([
      { teacher: 'taught', cost: expect.objectContaining({ kl: expect.any(Number) }) },
    ])
    const stray = await start('evaluate', 'taught', '--corpus', 'nowhere').ended
    expect(stray).toMatchObject({ status: 2, stderr: expect.stringMatching(/no corpus named "nowhere"/) })
  })

  it('says what is wrong with its input as it does alone: by file and field, with exit status 2', async () => {
    const bad = file('bad.yaml', definition('bad').replace('batch: 4', 'batch: none'))
    const { status, stderr } = await start('run', bad).ended
    expect(status).toBe(2)
    expect(stderr).toMatch(/bad\.yaml: train\.batch.*expected/)
    const missing = await start('import', 'corpus', join(folder, 'nowhere.txt')).ended
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringMatching(/nowhere\.txt/) })
    const jobs = await start('grid', join(folder, 'grid.yaml'), '--jobs', '2').ended
    expect(jobs).toMatchObject({ status: 2, stderr: expect.stringMatching(/--jobs.*expected nothing/) })
  })

  it('stops its run by Ctrl-C, with a checkpoint that the next command goes on from', async () => {
    const long = start('run', file('long.yaml', definition('long', 4000)))
    await long.says(/step \d/)
    long.child.kill('SIGINT')
    const { status, stderr } = await long.ended
    expect({ status, stderr }).toMatchObject({ status: 1 })
    const id = readdirSync(join(dataDir, 'runs')).find((name) => name.startsWith('long'))!
    expect(readdirSync(join(dataDir, 'runs', id, 'checkpoints')).length).toBeGreaterThan(0)
    const on = start('run', '--resume', 'long')
    await on.says(/step \d/)
    on.child.kill('SIGINT')
    expect((await on.ended).stderr).toMatch(HANDED)
  })

  it('says so when the app goes, and sends its token to no process but the holder of the lock', async () => {
    const long = start('run', file('left.yaml', definition('left', 4000)))
    await long.says(/step \d/)
    app.host.child.kill('SIGKILL')
    expect(await long.ended).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/the app .* has gone/),
    })
    await app.host.ended
    // Another program has its port, and another process the lock.
    const calls: Socket[] = []
    const other = createServer((socket) => calls.push(socket)).listen(app.port, '127.0.0.1')
    await once(other, 'listening')
    const holder = await createServices({ dataDir, spawnWorker: builtWorkers(), host: 'cli' })
    const refused = await start('run', file('third.yaml', definition('third'))).ended
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/in use by process \d+/) })
    expect(calls).toEqual([])
    await holder.close()
    other.close()
    expect(existsSync(paths.lock(dataDir))).toBe(false)
    app = await open()
    expect(readFileSync(paths.webHost(dataDir), 'utf8')).toContain(`"pid":${app.host.child.pid}`)
  })
})
