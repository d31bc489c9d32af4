import { availableParallelism } from 'node:os'
import type { InferenceSession, Tensor } from 'onnxruntime-node'

export type Ort = typeof import('onnxruntime-node')
export type Session = InferenceSession
export type { Tensor }

// Its builds of 1.30 keep a database of usage below the home directory and try to send it to their makers. What is
// trained here is nobody else's business. Set before anything loads the runtime; child processes inherit it.
process.env.ORT_DISABLE_TELEMETRY ??= '1'

export type Provider = 'cpu' | 'webgpu'

/** Threads of the backend in use, and where it computes. */
let chosen = 0
let place: Provider = 'cpu'

/** @param threads inside an operator, of all sessions from now on; 0: all cores */
export function useThreads(threads: number): number {
  chosen = threads || availableParallelism()
  return chosen
}

export function threadsInUse(): number {
  return chosen || availableParallelism()
}

/** @param provider of all sessions from now on that do not ask for another */
export function useProvider(provider: Provider): void {
  place = provider
}

export async function loadRuntime(): Promise<Ort> {
  const module = await import('onnxruntime-node')
  return module.default ?? module
}

/** What threads do until there is work again: keep their cores, or sleep; `single`: there is but one. */
export type Threading = 'spinning' | 'waiting' | 'single'

/** How sessions of ONNX Runtime are made, on the CPU or the GPU. */
export function sessionOptions(provider: Provider = place): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threadsInUse(),
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // A planned block for all activations is not faster and takes a third more memory than the arena's own reuse.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Spinning threads gain 3 % alone and lose a factor of two when a neighbour takes a core: see Pace.
    extra: { session: { intra_op: { allow_spinning: '0' }, set_denormal_as_zero: '1' } },
  }
}

/** The same with threads of another kind. */
export function withThreading(
  options: InferenceSession.SessionOptions,
  threading: Threading,
): InferenceSession.SessionOptions {
  const session = options.extra!.session as Record<string, unknown>
  const intra_op = { allow_spinning: threading === 'spinning' ? '1' : '0' }
  return {
    ...options,
    ...(threading === 'single' && { intraOpNumThreads: 1 }),
    extra: { ...options.extra, session: { ...session, intra_op } },
  }
}

/** The same, but that equal operators stay apart: of two casts of one value, the first one's result would be kept. */
export function withoutMerging(options: InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  const optimization = { disable_specified_optimizers: 'CommonSubexpressionElimination' }
  return { ...options, extra: { ...options.extra, optimization } }
}
