import type { Alarm } from './alarm'
import type { RunConfig } from './run'

/** What ONNX Runtime, V8, C++ and the system say when memory is used up. */
const WORDS =
  /bad_alloc|failed to allocate memory|array buffer allocation failed|heap out of memory|fatal process out of memory|out of memory|cannot allocate memory|enomem/i

/** Whether an error's message, or what a process wrote last, tells of a lack of memory. */
export function tellsOutOfMemory(text: string): boolean {
  return WORDS.test(text)
}

/** The part of such a message that says something to a person: ONNX Runtime puts its source lines before it. */
export function memoryWords(text: string): string {
  return text
    .split('Status Message: ')
    .at(-1)!
    .trim()
    .replace(/^\S+\.cc:\d+ .*\) /, '')
}

export interface MemoryShortage {
  /** The last step that was done; 0 before a run has begun. */
  step: number
  /** What was seen or is expected, in one sentence. */
  message: string
  /** Numbers behind it, beside those of the setting: `{ estimatedMb: 9100, availableMb: 8000 }`. */
  evidence?: Alarm['evidence']
}

/** The alarm of a run that has run out of memory, or is going to by its estimate. */
export function outOfMemory(
  { experiment, student }: Pick<RunConfig, 'experiment' | 'student'>,
  { step, message, evidence }: MemoryShortage,
): Alarm {
  const { batch, accumulate, context, checkpointing } = experiment.train
  const mend = memoryMend(experiment)
  return {
    signature: 'out-of-memory',
    step,
    message,
    evidence: { microBatch: batch / accumulate, context, vocab: student.vocab, ...evidence },
    advice: advice(mend, checkpointing),
    mend,
  }
}

/**
 * Settings with which the same experiment needs less memory at a time: micro-batches of half the size, the effective
 * batch as before; where one sequence is left already, layers computed again, and one teacher at a time.
 */
export function memoryMend({ train, teachers, cache, loss }: RunConfig['experiment']): string[] {
  const { batch, accumulate, checkpointing } = train
  if (accumulate < batch) {
    let parts = 2 * accumulate
    while (parts < batch && batch % parts) parts++
    return [`train.accumulate=${Math.min(parts, batch)}`]
  }
  const settings: string[] = []
  if (checkpointing === 'none') settings.push('train.checkpointing=layers')
  // A cache is written by one teacher after the other; attention maps are never in it.
  const readsMaps = loss.features !== false && loss.features.gamma > 0 && loss.features.attention !== 'none'
  const live = cache.mode === 'auto' || cache.mode === 'off'
  if (teachers.length > 1 && live && !readsMaps) settings.push('cache.mode=exact')
  return settings
}

function advice(mend: readonly string[], checkpointing: 'none' | 'layers'): string {
  if (!mend.length) return 'Take a smaller student, a shorter context or fewer teachers.'
  if (!mend[0]!.startsWith('train.accumulate')) return 'Compute layers again, and ask one teacher at a time.'
  const further =
    checkpointing === 'none' ? 'train.checkpointing: layers and cache.mode: exact' : 'cache.mode: exact'
  return `Halve the micro-batch and accumulate twice as many: the effective batch stays. ${further} (one teacher at a time) save more.`
}
