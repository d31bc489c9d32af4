import { ipcMain, type IpcMainInvokeEvent } from 'electron'
import { failed } from '#contract'

export const ORIGIN = 'app://retort'

/**
 * Answers a channel of the page: the one way to do so. Only the main frame of a window of ours is heard, whatever the
 * channel.
 */
export function answer<A extends unknown[], R>(channel: string, handler: (...args: A) => R): void {
  ipcMain.handle(channel, (event: IpcMainInvokeEvent, ...args) => {
    const frame = event.senderFrame
    if (!frame || frame.parent !== null || !frame.url.startsWith(`${ORIGIN}/`))
      throw failed('only the page may call')
    return handler(...(args as A))
  })
}
