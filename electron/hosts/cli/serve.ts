import { InvalidArgumentError, type Command } from 'commander'
import { createServices } from '../../services'
import { endOnUncaught, withinTime } from '../lastWords'
import { nodeWorkerLauncher } from '../nodeWorker'
import { dataDirOf, report, type GlobalOptions } from './session'

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('the app for a browser, on 127.0.0.1 with a token')
    .option('--port <port>', 'default: the last one, or any that is free', port)
    .option('--new-token', 'pages that are open elsewhere are no longer let in')
    .action(async (own: { port?: number; newToken?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      await report(options, async () => {
        const { startWebHost } = await import('../web')
        const services = await createServices({
          dataDir: dataDirOf(options),
          spawnWorker: nodeWorkerLauncher(),
          host: 'web',
        })
        endOnUncaught(dataDirOf(options), () => services.close())
        const host = await startWebHost({ services, port: own.port, renewToken: own.newToken })
        process.stdout.write(options.json ? `${JSON.stringify({ url: host.url })}\n` : `${host.url}\n`)
        await new Promise<void>((resolve) => {
          process.once('SIGINT', resolve).once('SIGTERM', resolve)
        })
        await host.close()
        await withinTime(services.close())
        return { json: { closed: true }, text: 'closed' }
      })
    })
}

function port(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0 && value < 65536) return value
  throw new InvalidArgumentError('expected a port, 0 to 65535')
}
