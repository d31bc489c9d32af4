import type { CallResult, Push } from '#contract'

export type ConnectionStatus = 'connecting' | 'open' | 'closed' | 'refused'

export interface TransportEvents {
  onPush(push: Push): void
  /** Pushes were lost: whatever was fetched before is out of date. */
  onLost(): void
  onStatus(status: ConnectionStatus, message?: string): void
}

/** What carries calls and pushes between the page and its host. */
export interface Transport {
  call(name: string, params: unknown): Promise<CallResult>
  /** Tries to connect now instead of by and by. */
  retry?: () => void
  /** The host's file dialog, where there is one. */
  pickPath?: (kind: 'file' | 'folder') => Promise<string | undefined>
}
