import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { failed } from '#contract'
import type { Services } from '../../services'
import { builtPage } from '../pageFiles'
import { hostAllowed, originAllowed } from './access'
import { keepAddress, lastAddress, newToken } from './address'
import { Connection } from './connection'
import { fail, sendFile } from './files'

export { writeRedirect } from './address'
export { findOpenHost, type OpenHost } from './openHost'

export interface WebHostOptions {
  services: Services
  /** Absent: where the last one of this data directory was, if that is free, else any that is. */
  port?: number
  /** Closes all pages that knew the last one out. */
  renewToken?: boolean
  /** The built page. */
  rendererDir?: string
}

export interface WebHost {
  /** With the token in its fragment, which no server and no log sees. */
  url: string
  port: number
  close(): Promise<void>
}

/** A message is a call's parameters: a definition, a path. */
const LARGEST_MESSAGE = 4 * 2 ** 20

/** Serves the app on 127.0.0.1 to whoever has the token. */
export async function startWebHost({
  services,
  port,
  renewToken = false,
  rendererDir = builtPage(),
}: WebHostOptions): Promise<WebHost> {
  const { dataDir } = services.rooms.context
  const last = lastAddress(dataDir)
  const token = renewToken ? newToken() : last.token
  const server = createServer((request, response) => {
    if (!hostAllowed(request)) return fail(response, 403, 'only for this machine')
    if (request.method !== 'GET' && request.method !== 'HEAD') return fail(response, 405, 'not allowed')
    void sendFile(rendererDir, request.url ?? '/', response)
  })
  const life = randomUUID()
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE })
  server.on('upgrade', (request, socket, head) => {
    // Node leaves an upgraded socket without a listener: a client that resets it would end the host.
    socket.on('error', () => socket.destroy())
    if (request.url !== '/ws' || !hostAllowed(request) || !originAllowed(request)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      new Connection(webSocket, services, { token, life })
    })
  })
  await listen(server, port ?? last.port, port === undefined)
  const address = server.address() as AddressInfo
  keepAddress(dataDir, { token, port: address.port, pid: process.pid })
  return {
    url: `http://127.0.0.1:${address.port}/#token=${token}`,
    port: address.port,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
    },
  }
}

/**
 * @param wanted 0 or absent: any that is free
 * @param orAny takes another one where the wanted one is not free
 */
async function listen(server: Server, wanted = 0, orAny: boolean): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(wanted, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE' || !wanted) throw error
    if (!orAny) throw failed(`port ${wanted} is in use; choose another with --port`)
    await listen(server, 0, orAny)
  }
}
