import { z } from 'zod'
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

type Train = RunConfig['experiment']['train']

export interface MemoryShortage {
  /** The last step that was done; 0 before a run has begun. */
  step: number
  /** What was seen or is expected, in one sentence. */
  message: string
  /** Numbers behind it, beside those of the setting: `{ estimatedMb: 9100, availableMb: 8000 }`. */
  evidence?: Alarm['evidence']
  /** Settings that are known to fit; default: what is to be tried next. */
  mend?: readonly string[]
}

/** Of what needs more memory than may be had. */
export const memoryAdvice = z.object({
  /** MB that it needs, and that may be had. */
  needMb: z.number(),
  limitMb: z.number(),
  /** Settings with which it fits, as in an alarm, and the MB that it needs then; none where nothing is known to. */
  mend: z.array(z.string()),
  memoryMb: z.number().optional(),
  /** The same in a sentence. */
  advice: z.string(),
})
export type MemoryAdvice = z.output<typeof memoryAdvice>

/** The alarm of a run that has run out of memory, or is going to by its estimate. */
export function outOfMemory(
  { experiment, student }: Pick<RunConfig, 'experiment' | 'student'>,
  { step, message, evidence, mend = memoryMend(experiment) }: MemoryShortage,
): Alarm {
  const { batch, accumulate, context } = experiment.train
  return {
    signature: 'out-of-memory',
    step,
    message,
    evidence: { microBatch: batch / accumulate, context, vocab: student.vocab, ...evidence },
    advice: adviceOf(mend, experiment.train),
    mend: [...mend],
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

/** The same for a person: `train.accumulate: 4 (the same batch in micro-batches of 8)`. */
export function memoryMendWords(mend: readonly string[], { batch }: Train): string {
  const words = mend.map((setting) => {
    const [path, value] = setting.split('=') as [string, string]
    const why =
      path === 'train.accumulate'
        ? `the same batch in micro-batches of ${batch / Number(value)}`
        : path === 'train.checkpointing'
          ? 'computed again instead of kept'
          : 'one teacher at a time'
    return `${path}: ${value} (${why})`
  })
  return words.join(' and ') || 'a smaller student, a shorter context or fewer teachers'
}

function adviceOf(mend: readonly string[], train: Train): string {
  const words = memoryMendWords(mend, train)
  if (!mend.length) return `Take ${words}.`
  const further =
    train.checkpointing === 'none' ? 'train.checkpointing: layers and cache.mode: exact' : 'cache.mode: exact'
  const more = mend.length === 1 && mend[0]!.startsWith('train.accumulate')
  return `Set ${words}.${more ? ` ${further} (one teacher at a time) save more.` : ''}`
}
