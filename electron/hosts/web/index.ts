import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { failed } from '#contract'
import type { Services } from '../../services'
import { builtPage } from '../pageFiles'
import { hostAllowed, originAllowed } from './access'
import { Connection } from './connection'
import { fail, sendFile } from './files'

export interface WebHostOptions {
  services: Services
  /** 0 or absent: any that is free. */
  port?: number
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
  port = 0,
  rendererDir = builtPage(),
}: WebHostOptions): Promise<WebHost> {
  const token = randomBytes(32).toString('base64url')
  const server = createServer((request, response) => {
    if (!hostAllowed(request)) return fail(response, 403, 'only for this machine')
    if (request.method !== 'GET' && request.method !== 'HEAD') return fail(response, 405, 'not allowed')
    void sendFile(rendererDir, request.url ?? '/', response)
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE })
  server.on('upgrade', (request, socket, head) => {
    if (request.url !== '/ws' || !hostAllowed(request) || !originAllowed(request)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => new Connection(webSocket, services, token))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' ? failed(`port ${port} is in use; choose another with --port`) : error,
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
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
