import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeHalf, listAdapters, probeWebgpu } from '../../backend/webgpu'
import { GpuMemory } from './memory'
import { runPart, type Ending } from './part'
import { tableOf, type Checked, type Message, type Row } from './row'
import { Tally } from './tally'

export interface Options {
  /** Small models and few steps: whether it works, not how fast it is. */
  quick: boolean
  /** For all of it. */
  seconds: number
  /** Where gpu.json is written, if anywhere. */
  out: string | undefined
}

/** Most seconds of each part; what is left of the whole may be less. */
const LIMITS = { kernels: 110, steps: 60, configuration: 30, real: 60, warm: 150, torch: 130 }
/** Software that plays GPU takes its time. */
const QUICK_FACTOR = 6
/** What is left for PyTorch at the least. */
const RESERVED = 60

/** The whole check, a part after the other. What fails is a line of the table, and the rest goes on. */
export class Check {
  private readonly rows: Row[] = []
  private readonly memory = new GpuMemory()
  private readonly began = Date.now()
  private device = 'WebGPU'
  private precisions: ('f32' | 'f16')[] = ['f32']

  constructor(private readonly options: Options) {}

  async run(): Promise<Row[]> {
    const { quick } = this.options
    const works = await this.findAdapter()
    const warm = quick ? Promise.resolve({}) : this.torch('warm', LIMITS.warm)
    if (works) {
      await this.kernels()
      await this.part('steps', LIMITS.steps, [quick ? 'tiny' : 'A', this.precisions.join()])
    }
    // What is timed is timed alone.
    await warm
    if (works) {
      for (const name of quick ? ['tiny'] : ['A', 'B', 'C']) await this.timed('configuration', name)
      await this.timed('real', quick ? 'small' : 'real')
    }
    const ended = await this.torch('time', this.left(LIMITS.torch, 0))
    if (ended.error) this.add({ what: 'PyTorch', device: 'PyTorch', error: ended.error })
    this.memory.stop()
    this.progress(`done in ${this.seconds()} s`)
    return this.rows
  }

  private async findAdapter(): Promise<boolean> {
    const names = listAdapters().map(({ name, software }) => (software ? `${name} (software)` : name))
    this.device = `WebGPU, ${names[0] ?? 'an adapter the system does not name'}`
    try {
      await probeWebgpu()
    } catch (error) {
      this.add({ what: 'adapter', device: this.device, error: (error as Error).message })
      return false
    }
    const half = await probeHalf().then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (!half) this.precisions.push('f16')
    this.add({
      what: 'adapter',
      device: this.device,
      note: half ? `answers; no f16: ${half}` : 'answers; f16',
    })
    return true
  }

  /** Started anew after a case of which the process dies: that one is asked alone, and then left out. */
  private async kernels(): Promise<void> {
    const tally = new Tally()
    const until = Date.now() + this.left(LIMITS.kernels) * 1000
    let ending: Ending = {}
    let together = tally.together
    do {
      const seconds = (until - Date.now()) / 1000
      ending = await this.apart('kernels', [String(tally.next), String(together)], seconds, (message) => {
        if ('checked' in message) tally.add(message.checked as Checked)
      })
      together = tally.after(ending.error)
    } while (ending.error && Date.now() < until && !tally.hopeless)
    for (const row of tally.rows(this.device, ending.error)) this.add(row)
  }

  private async timed(kind: 'configuration' | 'real', name: string): Promise<void> {
    for (const precision of this.precisions) await this.part(kind, LIMITS[kind], [name, precision])
  }

  /** A part that gives rows; one that ends otherwise is a row too. */
  private async part(kind: keyof typeof LIMITS, limit: number, args: readonly string[]): Promise<void> {
    const peak = this.memory.watch()
    const steps = this.options.quick ? ['3', '2'] : ['40', '6']
    const given = [...args, this.device, ...steps]
    const seconds = this.left(limit)
    const { error } = await this.apart(kind, given, seconds, (message) => {
      if (!('row' in message)) return
      const gpuMb = message.row.msPerStep === undefined ? undefined : peak()
      this.add({ ...message.row, ...(gpuMb !== undefined && { gpuMb }) })
    })
    const precision = args[1] as Row['precision']
    if (error) this.add({ what: `${kind} ${args[0]}`, device: this.device, precision, error })
  }

  private apart(
    kind: string,
    args: readonly string[],
    seconds: number,
    on: (message: Message) => void,
  ): Promise<Ending> {
    if (seconds < 1) return Promise.resolve({ error: 'left out: the time is over' })
    this.progress(`${kind} ${args.slice(0, 2).join(' ')}`)
    const own = [...process.execArgv, process.argv[1]!, '--part', kind, ...args]
    return runPart({
      command: process.execPath,
      args: own,
      seconds,
      on: (said) => (typeof said === 'string' ? this.progress(`  ${said}`) : on(said)),
    })
  }

  private torch(what: 'warm' | 'time', seconds: number): Promise<Ending> {
    if (seconds < 1) return Promise.resolve({ error: 'left out: the time is over' })
    this.progress(`PyTorch: ${what}`)
    const script = join(import.meta.dirname, 'peer.py')
    const python = process.env.RETORT_PYTHON ?? 'python3'
    return runPart({
      command: python,
      args: [script, what, ...(this.options.quick ? ['--quick'] : [])],
      seconds,
      on: (said) => {
        if (typeof said === 'string') this.progress(`  ${said}`)
        else if ('row' in said) this.add(said.row)
      },
    })
  }

  /** Seconds for a part, of those that are left. */
  private left(limit: number, reserved = RESERVED): number {
    const most = this.options.quick ? limit * QUICK_FACTOR : limit
    return Math.min(most, this.options.seconds - this.seconds() - reserved)
  }

  private add(row: Row): void {
    this.rows.push(row)
    this.progress(tableOf([row]).split('\n')[1]!)
    this.write()
  }

  /** As it goes: a check that is killed leaves what it found. */
  private write(): void {
    const { out, quick } = this.options
    if (!out) return
    const result = { quick, node: process.version, seconds: this.seconds(), rows: this.rows }
    writeFileSync(join(out, 'gpu.json'), `${JSON.stringify(result, undefined, 2)}\n`)
  }

  private seconds(): number {
    return Math.round((Date.now() - this.began) / 1000)
  }

  private progress(line: string): void {
    process.stdout.write(`[${this.seconds()} s] ${line}\n`)
  }
}
