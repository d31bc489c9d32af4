import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, clusterProfile, parse, type ClusterCheck, type ClusterProfile } from '#contract'
import { Login } from '../../cluster'
import { writeFileAtomic } from '../../files'
import { paths } from '../../store'
import { readYaml } from '../experiments'
import { find } from '../identity'

/** Cluster profiles: YAML files in the data directory, kept as the person wrote them. */
export class ClusterProfiles {
  constructor(private readonly dataDir: string) {}

  /** By name. @throws bad-input naming a file that cannot be read */
  list(): ClusterProfile[] {
    const folder = paths.clusters(this.dataDir)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((name) => name.endsWith(EXTENSION))
      .sort()
      .map((name) => {
        const file = join(folder, name)
        return parseProfile(readFileSync(file, 'utf8'), file)
      })
  }

  get(name: string): ClusterProfile {
    const rows = this.list().map((profile) => ({ id: profile.name, name: profile.name, profile }))
    return find('cluster', rows, name).profile
  }

  text(name: string): { definition: string } {
    return { definition: readFileSync(this.file(this.get(name).name), 'utf8') }
  }

  /** Adds a profile, or replaces the one of that name. */
  save(definition: string, file?: string): ClusterProfile {
    const profile = parseProfile(definition, file)
    if (profile.transfer === 'shared' && !profile.host && !existsSync(profile.dataDir)) {
      throw badInput(`there is no folder ${profile.dataDir} here`, {
        file,
        field: 'dataDir',
        expected: `the app's data directory (${this.dataDir}) as the nodes see it, or "transfer: rsync"`,
      })
    }
    writeFileAtomic(this.file(profile.name), definition)
    return profile
  }

  remove(name: string): void {
    rmSync(this.file(this.get(name).name))
  }

  /** Asks the login host what a submission will need, one question after the other. Changes nothing. */
  async test(name: string): Promise<ClusterCheck> {
    const { command, dataDir, partition, ...profile } = this.get(name)
    const login = new Login(profile)
    const checks: ClusterCheck['checks'] = []
    const ask = async (what: string, words: string[]) => {
      const answer = await login
        .ask(words)
        .catch((error: Error) => ({ status: 1, stdout: '', stderr: error.message }))
      const text = (answer.stdout || answer.stderr).trim() || (answer.status === 0 ? 'yes' : 'no')
      checks.push({ what, ok: answer.status === 0, answer: text.split('\n').slice(0, 5).join('; ') })
    }
    await ask('Slurm', ['sinfo', '--version'])
    await ask(partition ? `partition ${partition}` : 'partitions', [
      'sinfo',
      '--noheader',
      '--format=%P %a %l %D %T',
      ...(partition ? [`--partition=${partition}`] : []),
    ])
    if (profile.transfer === 'shared') await ask('data directory', ['test', '-w', dataDir])
    else await ask('rsync', ['rsync', '--version'])
    await ask('retort', [...command, '--version'])
    return { ok: checks.every(({ ok }) => ok), checks }
  }

  private file(name: string): string {
    return join(paths.clusters(this.dataDir), `${name}${EXTENSION}`)
  }
}

const EXTENSION = '.yaml'

function parseProfile(text: string, file?: string): ClusterProfile {
  return parse(clusterProfile, readYaml(text, file), file)
}
