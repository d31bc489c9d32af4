import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Why a real Slurm cannot be brought up here; undefined when it can. */
export function slurmMissing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs root on Linux'
  const missing = ['slurmctld', 'slurmd', 'sbatch', 'munged'].filter((program) => !found(program))
  return missing.length ? `${missing.join(', ')} not installed (slurm-wlm, munge)` : undefined
}

export function found(program: string): boolean {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => existsSync(join(folder, program)))
}

/** A real one-node Slurm on loopback for tests: munged, slurmctld, slurmd; no accounts, a short memory. */
export class TestSlurm {
  readonly configuration: string

  constructor(private readonly folder: string) {
    this.configuration = join(folder, 'slurm.conf')
  }

  async start(): Promise<void> {
    for (const name of ['state', 'spool']) mkdirSync(join(this.folder, name), { recursive: true })
    const port = 20_000 + (process.pid % 10_000) * 2
    const host = hostname()
    const lines = {
      ClusterName: 'test',
      SlurmctldHost: `${host}(127.0.0.1)`,
      SlurmUser: 'root',
      SlurmdUser: 'root',
      AuthType: 'auth/munge',
      // A task that was queued again waits until its old credential has expired.
      AuthInfo: 'cred_expire=5',
      MpiDefault: 'none',
      ProctrackType: 'proctrack/linuxproc',
      TaskPlugin: 'task/none',
      ReturnToService: '2',
      KillWait: '10',
      MinJobAge: '5',
      SlurmctldPidFile: join(this.folder, 'slurmctld.pid'),
      SlurmdPidFile: join(this.folder, 'slurmd.pid'),
      SlurmctldPort: String(port),
      SlurmdPort: String(port + 1),
      StateSaveLocation: join(this.folder, 'state'),
      SlurmdSpoolDir: join(this.folder, 'spool'),
      SlurmctldLogFile: join(this.folder, 'slurmctld.log'),
      SlurmdLogFile: join(this.folder, 'slurmd.log'),
      SchedulerType: 'sched/backfill',
      SchedulerParameters: 'batch_sched_delay=0,sched_interval=2',
      SelectType: 'select/cons_tres',
      SelectTypeParameters: 'CR_Core',
      AccountingStorageType: 'accounting_storage/none',
    }
    const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`)
    text.push(`NodeName=${host} NodeAddr=127.0.0.1 CPUs=${availableParallelism()} RealMemory=1000\n`)
    text.push('PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n')
    writeFileSync(this.configuration, text.join(''))
    startMunge()
    this.tool('slurmctld', '-f', this.configuration)
    this.startNode()
    for (let i = 0; i < 100; i++) {
      if (this.tool('sinfo', '-h', '-o', '%T').includes('idle')) return
      await sleep(200)
    }
    throw new Error(`the node does not come up: ${this.log()}`)
  }

  startNode(): void {
    this.tool('slurmd', '-f', this.configuration)
  }

  /** As by a crash of the daemon: nothing of its own is tidied up. */
  killNode(): void {
    this.kill('slurmd.pid', 'SIGKILL')
  }

  /** Runs one of Slurm's commands; resolves to its output. */
  tool(program: string, ...args: string[]): string {
    const env = { ...process.env, SLURM_CONF: this.configuration, PATH: `${process.env.PATH}:/usr/sbin` }
    const { stdout, stderr, status } = spawnSync(program, args, { env, encoding: 'utf8' })
    return status === 0 ? stdout : stderr
  }

  async stop(): Promise<void> {
    this.tool('scancel', '--full', '--user=root')
    for (let i = 0; i < 50 && this.tool('squeue', '-h').trim(); i++) await sleep(200)
    for (const file of ['slurmd.pid', 'slurmctld.pid']) this.kill(file, 'SIGTERM')
    await sleep(500)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  private kill(file: string, signal: NodeJS.Signals): void {
    const path = join(this.folder, file)
    if (existsSync(path)) process.kill(Number(readFileSync(path, 'utf8')), signal)
  }

  private log(): string {
    const file = join(this.folder, 'slurmd.log')
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-2000) : 'slurmd wrote no log'
  }
}

/** One daemon a machine; it stays. */
function startMunge(): void {
  if (spawnSync('munge', ['-n']).status === 0) return
  mkdirSync('/run/munge', { recursive: true })
  spawnSync('chown', ['munge:munge', '/run/munge'])
  if (!existsSync('/etc/munge/munge.key')) {
    spawnSync('/usr/sbin/mungekey', ['--create'])
    spawnSync('chown', ['munge:munge', '/etc/munge/munge.key'])
  }
  const { stderr } = spawnSync('su', ['-s', '/bin/sh', 'munge', '-c', '/usr/sbin/munged'], {
    encoding: 'utf8',
  })
  if (spawnSync('munge', ['-n']).status !== 0) throw new Error(`munged does not start: ${stderr}`)
}
