/** What the backend has done so far; the bench prints it. */
export interface BackendStatistics {
  flushes: number
  /** Graphs run once more without being recorded. */
  replayed: number
  compiled: number
  compileMs: number
  traceMs: number
  runMs: number
  /** Nodes of the last graph. */
  nodes: number
}

export function noStatistics(): BackendStatistics {
  return { flushes: 0, replayed: 0, compiled: 0, compileMs: 0, traceMs: 0, runMs: 0, nodes: 0 }
}
