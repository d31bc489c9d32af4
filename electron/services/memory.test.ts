import { describe, expect, it } from 'vitest'
import { experiment, parse, type ModelConfig, type RunConfig } from '#contract'
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
    expect(16 % advice.accumulate!).toBe(0)
    expect(advice.memoryMb!).toBeLessThan(whole)
    const fewer = memoryAdvice(large(), advice.memoryMb! - 1)!
    expect(fewer.accumulate!).toBeGreaterThan(advice.accumulate!)
    // What is proposed is not refused in its turn.
    const mended = large()
    mended.experiment.train.accumulate = advice.accumulate!
    expect(() => checkMemory(mended, whole - 1)).not.toThrow()
  })

  it('is refused in one line with the field and what would fit, or that nothing would', () => {
    const limit = peakMemory(large()) - 1
    const { accumulate } = memoryAdvice(large(), limit)!
    expect(() => checkMemory(large(), limit, 'e.yaml')).toThrow(
      new RegExp(
        `^e.yaml: train.accumulate: .*${limit} MB can be had; expected ${accumulate}: the same batch in micro-batches of ${16 / accumulate!}`,
      ),
    )
    expect(() => checkMemory(large(), 100)).toThrow(/expected a smaller train.batch/)
  })

  it('is limited by the setting, else by what the machine has left', () => {
    expect(memoryLimit(1.5)).toBe(1536)
    expect(memoryLimit(0)).toBeGreaterThan(100)
  })
})
