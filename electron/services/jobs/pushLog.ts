import type { NumberedPush, Push, StepRecord } from '#contract'

/** How many pushes are held for a page that comes back after a broken connection. */
const HELD = 4000
/** Step records of a run are gathered for this long: a page draws no faster. */
const GATHER_MS = 100

type Listener = (seq: number, push: Push) => void

/** Numbers what is pushed to the pages and holds the latest, so that a page can resume. */
export class PushLog {
  private readonly listeners = new Set<Listener>()
  private readonly held: NumberedPush[] = []
  private readonly gathered = new Map<string, StepRecord[]>()
  private timer: NodeJS.Timeout | undefined
  private last = 0

  get seq(): number {
    return this.last
  }

  push(push: Push): void {
    this.last++
    this.held.push({ seq: this.last, push })
    if (this.held.length > HELD) this.held.shift()
    for (const listener of this.listeners) listener(this.last, push)
  }

  step(id: string, record: StepRecord): void {
    const records = this.gathered.get(id)
    if (records) records.push(record)
    else this.gathered.set(id, [record])
    this.timer ??= setTimeout(() => this.flush(), GATHER_MS)
  }

  /** Sends the gathered step records; before anything that should come after them. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    for (const [id, records] of this.gathered) this.push({ topic: 'steps', id, records })
    this.gathered.clear()
  }

  onPush(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** What came after `seq`; undefined when some of it is no longer held, or `seq` is of another process' life. */
  since(seq: number): NumberedPush[] | undefined {
    const oldest = this.held[0]?.seq ?? this.last + 1
    if (seq > this.last || seq < oldest - 1) return undefined
    return this.held.slice(seq + 1 - oldest)
  }
}
