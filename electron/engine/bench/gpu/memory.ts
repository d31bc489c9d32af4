import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

const EVERY_MS = 200

/** What is in use of the GPU's memory, as NVIDIA's own tool tells it; nothing where that is not there. */
export class GpuMemory {
  private readonly tool: ChildProcess
  private used: number | undefined
  private most = 0

  constructor() {
    const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', `-lms`, String(EVERY_MS)]
    this.tool = spawn('nvidia-smi', query, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.tool.on('error', () => {})
    createInterface({ input: this.tool.stdout! }).on('line', (line) => {
      const used = Number(line)
      if (!Number.isFinite(used)) return
      this.used = used
      this.most = Math.max(this.most, used)
    })
  }

  /** From now on; the function that comes back tells how much more has been in use at most, in MiB. */
  watch(): () => number | undefined {
    const before = this.used
    this.most = before ?? 0
    return () => (before === undefined ? undefined : this.most - before)
  }

  stop(): void {
    this.tool.kill()
  }
}
