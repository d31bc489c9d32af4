import { RunFolder } from '../../store'
import type { Context } from '../context'
import { memoryLimit, peakMemory } from '../memory'

/**
 * Whether runs have room side by side. Each was let in when it fitted alone, and takes its memory in its first steps:
 * what the machine has left at this moment says little. So their peaks together are held against what it had left when
 * none was at work.
 */
export class MemoryShare {
  private idleMb = Infinity

  constructor(private readonly context: Context) {}

  /**
   * Why a run cannot start beside those at work, if it cannot.
   * @param active ids of those at work
   */
  obstacle(id: string, active: readonly string[]): string | undefined {
    if (!active.length) {
      this.idleMb = this.context.freeMemoryMb?.() ?? memoryLimit(0)
      return undefined
    }
    const need = this.peakOf(id)
    const taken = active.reduce((sum, other) => sum + this.peakOf(other), 0)
    if (need + taken <= this.idleMb) return undefined
    return `waits for memory: it needs about ${need} MB, those at work take ${taken} of ${Math.round(this.idleMb)} MB`
  }

  private peakOf(id: string): number {
    const config = new RunFolder(this.context.dataDir, id).config()
    return config ? peakMemory(config) : 0
  }
}
