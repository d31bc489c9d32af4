import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { failed, type ClusterProfile } from '#contract'
import { lastLine, run, SSH_OPTIONS, UNREACHABLE, unreachable, type Login } from './login'
import { quoteAll } from './quote'

/** Copies of large corpora take their time. */
const PATIENCE_MS = 3_600_000

/** Copies folders between this machine's data directory and the cluster's, by `rsync` over the profile's `ssh`. */
export class Transfer {
  constructor(
    private readonly login: Login,
    private readonly profile: ClusterProfile,
    private readonly dataDir: string,
  ) {}

  /** @param folders below the data directory; what is there already is not sent again */
  async push(folders: readonly string[]): Promise<void> {
    if (this.profile.transfer === 'shared' || !folders.length) return
    await this.login.demand(['mkdir', '-p', '--', this.profile.dataDir])
    await this.rsync(
      ['--update', '--relative', ...folders.map((folder) => `${this.dataDir}/./${folder}`)],
      this.there(''),
    )
  }

  /** Fetches folders; what the cluster has removed from them, as old checkpoints, goes here too. */
  async pull(folders: readonly string[]): Promise<void> {
    if (this.profile.transfer === 'shared') return
    for (const folder of folders) {
      const here = `${this.dataDir}/${folder}`
      mkdirSync(dirname(here), { recursive: true })
      await this.rsync(['--delete-after', '--exclude=cell.lock*', this.there(`${folder}/`)], `${here}/`)
    }
  }

  private there(folder: string): string {
    const { host, dataDir } = this.profile
    return `${host ? `${host}:` : ''}${dataDir}/${folder}`
  }

  private async rsync(from: string[], to: string): Promise<void> {
    const { host, ssh } = this.profile
    // Protected arguments: the other side's shell sees none of them.
    const shell = host ? ['-e', quoteAll([...ssh, ...SSH_OPTIONS])] : []
    const command = ['rsync', '--archive', '--protect-args', ...shell, ...from, to]
    const { status, stderr } = await run(command, '', PATIENCE_MS)
    // What ssh said stands before what rsync makes of it.
    if (host && status === UNREACHABLE) throw unreachable(host, stderr.trim().split('\n')[0]!)
    if (status !== 0) throw failed(`rsync failed (exit status ${status}): ${lastLine(stderr)}`)
  }
}
