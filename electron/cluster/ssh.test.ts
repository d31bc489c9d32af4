import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterProfile, parse } from '#contract'
import { Login } from './login'
import { Transfer } from './transfer'

/** A real login host: an sshd of our own on the loopback, with keys of its own. */
const SSHD = '/usr/sbin/sshd'
const present = (program: string) => spawnSync('which', [program]).status === 0
const missing = [!existsSync(SSHD) && 'sshd', !present('ssh') && 'ssh', !present('rsync') && 'rsync'].filter(
  Boolean,
)
if (missing.length) process.stderr.write(`SKIPPED: clusters over ssh: no ${missing.join(', ')} here\n`)

let folder: string
let sshd: ChildProcess
let port: number

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const inFolder = (name: string) => join(folder, name)

/** The command of a profile, with the options that a user would have in a config of his own. */
const ssh = (at: number, ...own: string[]) =>
  ['ssh', '-F', 'none', '-p', String(at), '-i', inFolder('user'), '-l', userInfo().username].concat(
    [
      'IdentitiesOnly=yes',
      'StrictHostKeyChecking=no',
      `UserKnownHostsFile=${inFolder('known')}`,
      ...own,
    ].flatMap((option) => ['-o', option]),
  )
const login = (...own: string[]) => new Login({ host: '127.0.0.1', ssh: ssh(port, ...own) })

describe.skipIf(missing.length > 0)('a login host', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'retort-ssh-'))
    for (const name of ['host', 'user', 'stranger'])
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', inFolder(name)])
    writeFileSync(inFolder('allowed'), readFileSync(inFolder('user.pub')))
    port = await freePort()
    const settings = {
      Port: port,
      ListenAddress: '127.0.0.1',
      HostKey: inFolder('host'),
      AuthorizedKeysFile: inFolder('allowed'),
      PidFile: 'none',
      StrictModes: 'no',
      UsePAM: 'no',
      PermitRootLogin: 'yes',
      PasswordAuthentication: 'no',
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`)
    writeFileSync(inFolder('sshd_config'), lines.join(''))
    // Where it separates its privileges, if it is root's.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
    sshd = spawn(SSHD, ['-D', '-e', '-f', inFolder('sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    for await (const text of sshd.stderr!) {
      said += String(text)
      if (said.includes('Server listening')) break
    }
    expect(said).toContain('Server listening')
  }, 20_000)
  afterAll(() => {
    sshd.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  it('gets words as they are, and what a command reads', async () => {
    const words = ['two words', "it's", '$(touch BOOM) `x` $HOME *', 'new\nline', '', '-n', 'ünïcode 🙂']
    const said = await login().demand(['printf', '%s\\0', ...words])
    expect(said.split('\0').slice(0, -1)).toEqual(words)
    expect(await login().demand(['cat'], '#!/bin/sh\necho "$SHELL"\n')).toBe('#!/bin/sh\necho "$SHELL"\n')
    expect(await login().ask(['sh', '-c', 'echo no >&2; exit 7'])).toMatchObject({
      status: 7,
      stderr: 'no\n',
    })
  })

  it('is sent what cells need, and gives back their folders, with what was removed in them', async () => {
    const [here, there] = [inFolder('here'), inFolder("there 'quoted' $(touch BOOM)")]
    mkdirSync(join(here, 'runs/a/checkpoints/step-1'), { recursive: true })
    writeFileSync(join(here, 'runs/a/config.json'), '{}')
    writeFileSync(join(here, 'runs/a/checkpoints/step-1/model'), 'one')
    const profile = parse(clusterProfile, {
      name: 'lab',
      host: '127.0.0.1',
      ssh: ssh(port),
      dataDir: there,
      transfer: 'rsync',
    })
    const transfer = new Transfer(new Login(profile), profile, here)
    await transfer.push(['runs/a'])
    expect(readFileSync(join(there, 'runs/a/checkpoints/step-1/model'), 'utf8')).toBe('one')
    rmSync(join(there, 'runs/a/checkpoints/step-1'), { recursive: true })
    mkdirSync(join(there, 'runs/a/checkpoints/step-2'))
    writeFileSync(join(there, 'runs/a/checkpoints/step-2/model'), 'two')
    await transfer.pull(['runs/a'])
    expect(readFileSync(join(here, 'runs/a/checkpoints/step-2/model'), 'utf8')).toBe('two')
    expect(existsSync(join(here, 'runs/a/checkpoints/step-1'))).toBe(false)
    expect(readFileSync(join(here, 'runs/a/config.json'), 'utf8')).toBe('{}')
    expect(existsSync('BOOM')).toBe(false)
  })

  it('that does not know the key is named in one line', async () => {
    const stranger = new Login({ host: '127.0.0.1', ssh: ssh(port).with(6, inFolder('stranger')) })
    await expect(stranger.ask(['true'])).rejects.toThrow(
      /^cannot reach 127\.0\.0\.1 by ssh: .*Permission denied/,
    )
  })

  it('where nobody listens is named in one line', async () => {
    const nobody = new Login({ host: '127.0.0.1', ssh: ssh(await freePort()) })
    await expect(nobody.ask(['true'])).rejects.toThrow(/^cannot reach 127\.0\.0\.1 by ssh: .*refused/)
  })

  it('that takes the connection and says nothing is given up', async () => {
    const silent: Server = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const at = (silent.address() as AddressInfo).port
    try {
      const hanging = new Login({ host: '127.0.0.1', ssh: ssh(at, 'ConnectTimeout=1') })
      await expect(hanging.ask(['true'])).rejects.toThrow(/^cannot reach 127\.0\.0\.1 by ssh: .*timed out/)
    } finally {
      silent.close()
    }
  }, 20_000)

  it('that stops in the middle is given up', async () => {
    const asked = login('ServerAliveInterval=1', 'ServerAliveCountMax=1').ask([
      'sh',
      '-c',
      // The session's own server is stopped; the command it waits for ends by itself.
      'kill -STOP $PPID; sleep 20; kill -CONT $PPID',
    ])
    await expect(asked).rejects.toThrow(/^cannot reach 127\.0\.0\.1 by ssh: .*not responding/)
  }, 40_000)
})
