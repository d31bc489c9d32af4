import { describe, expect, it } from 'vitest'
import {
  experiment,
  outOfMemory,
  parse,
  type MemoryAdvice,
  type ModelConfig,
  type RunConfig,
} from '#contract'
import { checkMemory, memoryAdvice, memoryLimit, peakMemory } from './memory'

/** What of a configuration counts. */
function configOf(
  model: { vocab: number; width: number; layers: number; heads: number },
  train: Record<string, unknown>,
  teachers: number[] = [],
): RunConfig {
  const hidden = Math.ceil((model.width * 8) / 3 / 16) * 16
  const student = { ...model, kvHeads: model.heads, hidden, tied: true } as ModelConfig
  const definition = {
    name: 'm',
    corpus: 'c',
    student: { width: model.width, layers: model.layers, heads: model.heads },
    teachers: teachers.map((_, k) => `t${k}`),
    train,
  }
  const rows = teachers.map((parameters) => ({ parameters }))
  return { experiment: parse(experiment, definition), student, teachers: rows } as unknown as RunConfig
}

/** Peaks of runs in MB, measured by a process' maximal resident set; none of them was fitted to. */
const measured = [
  {
    model: { vocab: 2048, width: 128, layers: 3, heads: 4 },
    train: { batch: 16, context: 128 },
    teachers: [865152, 865152],
    peak: 877,
  },
  {
    model: { vocab: 8192, width: 256, layers: 4, heads: 4 },
    train: { batch: 4, context: 256 },
    teachers: [1651584],
    peak: 1328,
  },
  {
    model: { vocab: 2048, width: 384, layers: 6, heads: 6 },
    train: { batch: 8, context: 256 },
    teachers: [865152, 865152, 865152],
    peak: 1940,
  },
  {
    model: { vocab: 512, width: 192, layers: 6, heads: 6 },
    train: { batch: 32, context: 128, accumulate: 4 },
    teachers: [668544, 668544],
    peak: 774,
  },
  {
    model: { vocab: 2048, width: 256, layers: 6, heads: 8 },
    train: { batch: 8, context: 256, checkpointing: 'layers' },
    teachers: [],
    peak: 876,
  },
  {
    model: { vocab: 512, width: 64, layers: 2, heads: 4 },
    train: { batch: 8, context: 128 },
    teachers: [668544, 668544, 668544],
    peak: 399,
  },
]

const accumulateOf = ({ mend }: MemoryAdvice) => Number(/^train.accumulate=(\d+)$/.exec(mend[0]!)![1])
function thrownBy(act: () => void): string {
  try {
    act()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}
const large = () =>
  configOf({ vocab: 2048, width: 384, layers: 6, heads: 6 }, { batch: 16, context: 256 }, [1e6])

describe('memory before a run starts', () => {
  it.each(measured)('is within 15 % of $peak MB that were measured', ({ model, train, teachers, peak }) => {
    expect(Math.abs(peakMemory(configOf(model, train, teachers)) / peak - 1)).toBeLessThan(0.15)
  })

  it('is what fits: micro-batches of the same batch, the fewest that do', () => {
    const whole = peakMemory(large())
    expect(memoryAdvice(large(), whole)).toBeUndefined()
    const advice = memoryAdvice(large(), whole - 1)!
    expect(advice.mend).toEqual([`train.accumulate=${accumulateOf(advice)}`])
    expect(16 % accumulateOf(advice)).toBe(0)
    expect(advice.memoryMb!).toBeLessThan(whole)
    const fewer = memoryAdvice(large(), advice.memoryMb! - 1)!
    expect(accumulateOf(fewer)).toBeGreaterThan(accumulateOf(advice))
    // What is proposed is not refused in its turn.
    const mended = large()
    mended.experiment.train.accumulate = accumulateOf(advice)
    expect(() => checkMemory(mended, whole - 1)).not.toThrow()
  })

  it('is what fits with layers computed again, where no micro-batch is small enough', () => {
    const single = large()
    single.experiment.train.accumulate = 16
    const advice = memoryAdvice(single, peakMemory(single) - 1)!
    expect(advice.mend).toEqual(['train.checkpointing=layers'])
    single.experiment.train.checkpointing = 'layers'
    expect(peakMemory(single)).toBe(advice.memoryMb)
  })

  it('is refused in one line with the field and what would fit, or that nothing would', () => {
    const limit = peakMemory(large()) - 1
    const advice = memoryAdvice(large(), limit)!
    const accumulate = accumulateOf(advice)
    const words = `train.accumulate: ${accumulate} (the same batch in micro-batches of ${16 / accumulate})`
    const refusal = thrownBy(() => checkMemory(large(), limit, { file: 'e.yaml' }))
    expect(refusal).toMatch(/^e.yaml: train.accumulate: the run needs about \d+ MB of memory/)
    expect(refusal).toContain(`${limit} MB can be had; expected ${words}, about ${advice.memoryMb} MB`)
    // The alarm of a run that dies of it says the same.
    expect(advice.advice).toContain(`Set ${words}.`)
    const alarm = outOfMemory(large(), { step: 3, message: 'none left' })
    expect(alarm.advice).toContain('Set train.accumulate: 2 (the same batch in micro-batches of 8).')
    expect(() => checkMemory(large(), 100)).toThrow(/expected a smaller student/)
  })

  it('is limited by the setting, else by what the machine has left', () => {
    expect(memoryLimit(1.5)).toBe(1536)
    expect(memoryLimit(0)).toBeGreaterThan(100)
  })
})
